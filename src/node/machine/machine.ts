/**
 * The node proxy of one workload: the machine it runs on. Captured is what is for the mesh and nothing else; the kernel's sets follow
 * what discovery says the mesh is.
 *
 *   waiting ── discovery knows us, certificate, listeners ──▶ joined ── leave ──▶ leaving ── nothing runs ──▶ over
 */
import type { Timer } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Workload } from '#model/workload/workload.ts';
import { wildcardAddress } from '#net/wildcard.ts';
import { MachineRedirection } from '#redirect/machine/machine-redirection.ts';
import { DNS_PORT } from '#redirect/ports.ts';
import { startReconciler } from '#redirect/reconcile.ts';
import type { Assembly } from '../assemble.ts';
import { WorkloadProxy } from '../workload/workload-proxy.ts';
import { MESH_SET_DELAY_MS } from './limits.ts';
import { type MeshTargets, meshTargets, unsharedPorts } from './mesh-targets.ts';

export interface MachineOptions {
  /** As discovery names the machine. */
  readonly uid: string;
  readonly sharedPorts: ReadonlySet<number>;
  readonly excludedPorts: readonly number[];
  /** Capture look-ups. */
  readonly dns: boolean;
}

export interface MachineDeps {
  readonly assembly: Assembly;
  readonly log: Logger;
  /** Never captured: where the API server and the control plane are. */
  excluded(): ReadonlySet<string>;
  /** Discovery knows the machine no more, although nobody said that it leaves. */
  onLost(): void;
}

export class Machine {
  readonly proxy: WorkloadProxy;
  readonly #deps: MachineDeps;
  readonly #options: MachineOptions;
  readonly #redirection = new MachineRedirection();
  readonly #scope = new Scope();
  readonly #told = new Set<string>();
  #own: Workload;
  #ranges = '';
  #joined = false;
  #update: Timer | undefined = undefined;

  /** Opens the listeners; throws when another process has the ports. */
  constructor(deps: MachineDeps, options: MachineOptions, own: Workload) {
    this.#deps = deps;
    this.#options = options;
    this.#own = own;
    const { context } = deps.assembly;
    const { namespace, name, serviceAccount, trustDomain } = own;
    this.proxy = new WorkloadProxy(
      context,
      {
        uid: options.uid,
        workloadUid: options.uid,
        namespace,
        name,
        serviceAccount,
        trustDomain,
        netns: undefined,
        sharedPorts: options.sharedPorts,
      },
      {
        // `::` takes IPv4 as well; without IPv6 in the kernel there is only IPv4.
        listenAddress: wildcardAddress(),
        dnsPort: options.dns ? DNS_PORT : undefined,
      },
    );
    this.proxy.start();
  }

  get captures(): boolean {
    return this.#joined;
  }

  /** Rules take the place of whatever a predecessor left, in one step. */
  capture(): void {
    const { log, assembly } = this.#deps;
    const { clock, state } = assembly.context;
    this.#redirect(this.#targets());
    if (this.#options.dns) this.#captureLookups();
    this.#joined = true;
    this.#scope.add(state.onChange(() => this.#schedule()));
    this.#scope.add(
      startReconciler({
        clock,
        log: log.child('redirect'),
        watched: () => [
          {
            name: this.#own.name,
            differences: () => [...this.#redirection.differences(), ...this.proxy.deadListeners()],
            // Listeners first, as ever.
            repair: () => {
              this.proxy.reopenListeners();
              this.#redirection.repair();
            },
          },
        ],
        onRepair: () => undefined,
      }),
    );
    this.#tellUnshared();
  }

  /** New connections and look-ups pass by; those that run go on. */
  passBy(): void {
    this.#end();
    this.#redirection.passBy();
  }

  /** Nothing of it stays. */
  remove(reason: string): void {
    this.#end();
    this.proxy.stop(reason);
    this.#redirection.remove();
    this.#redirection.close();
  }

  #end(): void {
    this.#scope.dispose();
    this.#update?.cancel();
    this.#joined = false;
  }

  #captureLookups(): void {
    try {
      this.#redirection.captureLookups();
    } catch (error) {
      this.#deps.log.warn('names of the mesh are not answered on this machine', {
        error: messageOf(error),
        remedy: `Linux 5.12 or later is needed; else send look-ups of the mesh to 127.0.0.1:${DNS_PORT}`,
      });
    }
  }

  #targets(): MeshTargets {
    const { current } = this.#deps.assembly.context.state;
    return meshTargets(current, { own: this.#own, excluded: this.#deps.excluded() });
  }

  #redirect({ addresses, ranges }: MeshTargets): void {
    this.#ranges = JSON.stringify(ranges.map(({ network, length }) => [...network, length]));
    const { sharedPorts, excludedPorts } = this.#options;
    const rules = { addresses: this.#own.addresses, excludedPorts, ranges };
    this.#redirection.apply({ ...rules, sharedPorts: [...sharedPorts] }, addresses);
  }

  #schedule(): void {
    this.#update?.cancel();
    const { clock } = this.#deps.assembly.context;
    this.#update = clock.after(MESH_SET_DELAY_MS, () => this.#follow());
  }

  #follow(): void {
    const { assembly, log, onLost } = this.#deps;
    const own = assembly.context.state.current.workloads.get(this.#options.uid);
    if (own === undefined) {
      onLost();
      return;
    }
    this.#own = own;
    const targets = this.#targets();
    const ranges = JSON.stringify(
      targets.ranges.map(({ network, length }) => [...network, length]),
    );
    try {
      if (ranges === this.#ranges) this.#redirection.setMesh(targets.addresses);
      else this.#redirect(targets);
    } catch (error) {
      log.error('cannot follow the mesh', { error: messageOf(error) });
      if (this.#joined) this.#schedule();
    }
    this.#tellUnshared();
  }

  #tellUnshared(): void {
    for (const { service, port } of unsharedPorts(this.#own, this.#options.sharedPorts)) {
      const key = `${service} ${port}`;
      if (this.#told.has(key)) continue;
      this.#told.add(key);
      this.#deps.log.warn('a service wants a port that this machine does not share', {
        service,
        port,
        remedy: `tulle join --port NAME=${port}`,
      });
    }
  }
}
