/** What serves a captured pod inside its namespace: our own proxy, or an outside one that is told to. */
import type { Principal } from '#model/identity/spiffe.ts';

export interface PodListeners {
  readonly principal: Principal;
  /** Identity and listeners are there. */
  readonly ready: boolean;
  /** Whether look-ups of the pod are answered: they are captured only then. */
  readonly servesDns: boolean;
  /** Connections that still run. */
  readonly remaining: number;
  /** Throws when the listeners cannot be opened. */
  start(): void;
  /** Calls back once, when `ready`. */
  whenReady(callback: () => void): void;
  serveDns(port: number): void;
  /** Another generation serves the pod, too. */
  takenOver(): boolean;
  /** Those that are gone although nobody closed them, in words. */
  deadListeners(): string[];
  reopenListeners(): void;
  /** Takes nothing new; what runs goes on. */
  leave(): void;
  resume(): void;
  stop(reason: string): void;
}
