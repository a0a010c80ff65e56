/** A captured pod whose listeners an outside ztunnel opens, on our word. */
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { PodListeners } from '../agent/pod-listeners.ts';
import type { PodIdentity } from '../workload/context.ts';
import type { ZdsServer } from './zds-server.ts';

export class OutsideListeners implements PodListeners {
  readonly principal: Principal;
  /** The proxy does, unless its own settings say otherwise. */
  readonly servesDns = true;
  /** Only the proxy knows, and lets them finish by itself. */
  readonly remaining = 0;
  readonly #server: ZdsServer;
  readonly #pod: PodIdentity;
  #ready = false;
  #onReady: (() => void)[] = [];

  constructor(server: ZdsServer, pod: PodIdentity, trustDomain: string) {
    this.#server = server;
    this.#pod = pod;
    this.principal = formatPrincipal({ ...pod, trustDomain });
  }

  get ready(): boolean {
    return this.#ready;
  }

  start(): void {
    const { netns } = this.#pod;
    if (netns === undefined) return;
    this.#server.add(this.#pod, netns, () => {
      this.#ready = true;
      for (const callback of this.#onReady.splice(0)) callback();
    });
  }

  whenReady(callback: () => void): void {
    if (this.#ready) callback();
    else this.#onReady.push(callback);
  }

  serveDns(): void {
    return;
  }

  takenOver(): boolean {
    return false;
  }

  deadListeners(): string[] {
    return [];
  }

  reopenListeners(): void {
    return;
  }

  leave(): void {
    return;
  }

  resume(): void {
    return;
  }

  stop(): void {
    this.#onReady = [];
    this.#server.delete(this.#pod.uid);
  }
}
