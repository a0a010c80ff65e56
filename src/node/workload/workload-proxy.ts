/**
 * The listeners of one captured pod, inside its network namespace: 15001 and 15006 at once, 15008 as soon as there is
 * a certificate. Stays until the pod goes; certificates are replaced without closing anything.
 */
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { HBONE_ALPN } from '#hbone/limits.ts';
import type { Revocations } from '#identity/trust/crl-file.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import type { JudgePeer, TlsListener } from '#net/network.ts';
import { INBOUND_HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from '#redirect/ports.ts';
import { NODE_ERRORS } from '../errors.ts';
import { acceptHbone, acceptPlaintext } from '../inbound/inbound.ts';
import { LiveInbound } from '../inbound/live-inbound.ts';
import { PROXY_MARK } from '../marks.ts';
import { acceptOutbound } from '../outbound/outbound.ts';
import type { PodUsage } from '../usage/pod-usage.ts';
import type { NodeContext, PodIdentity } from './context.ts';

export interface ProxyOptions {
  /** Wildcard address to listen on; `::` takes IPv4 too. */
  listenAddress: string;
  /** Instead of 15001, 15006 and 15008, where several proxies share one namespace. */
  ports?: { outbound: number; plaintext: number; hbone: number };
}

const ISTIO_PORTS = {
  outbound: OUTBOUND_PORT,
  plaintext: INBOUND_PLAINTEXT_PORT,
  hbone: INBOUND_HBONE_PORT,
};

export class WorkloadProxy {
  readonly pod: PodIdentity;
  readonly principal: Principal;
  readonly #context: NodeContext;
  readonly #options: ProxyOptions;
  readonly #live = new LiveInbound();
  readonly #usage: PodUsage;
  readonly #scope = new Scope();
  #hbone: TlsListener | undefined = undefined;
  #onReady: (() => void)[] = [];

  constructor(context: NodeContext, pod: PodIdentity, options: ProxyOptions) {
    this.#context = context;
    this.pod = pod;
    this.#options = options;
    this.#usage = context.usages.open(pod);
    const { trustDomain } = context;
    this.principal = formatPrincipal({ ...pod, trustDomain });
  }

  /** Identity and all three listeners are there. */
  get ready(): boolean {
    return this.#hbone !== undefined;
  }

  /** Whether this proxy answers on 15053: look-ups are captured only then. */
  get servesDns(): boolean {
    return false;
  }

  get liveInbound(): number {
    return this.#live.count;
  }

  /** Opens 15001 and 15006 before it returns; throws when it cannot. */
  start(): void {
    const { network, identities, state, revocations } = this.#context;
    const { listenAddress, ports = ISTIO_PORTS } = this.#options;
    const place = { address: listenAddress, namespace: this.pod.netns, mark: PROXY_MARK };
    const usage = this.#usage;
    const deps = { context: this.#context, pod: this.pod, usage, live: this.#live };
    try {
      const outbound = network.listen(
        { ...place, port: ports.outbound, reusePort: true, gate: usage.outbound },
        (connection) => acceptOutbound(this.#context, { pod: this.pod, usage }, connection),
      );
      this.#scope.add(() => outbound.stop());
      const plaintext = network.listen(
        { ...place, port: ports.plaintext, reusePort: true, gate: usage.inbound },
        (connection) => acceptPlaintext(deps, connection),
      );
      this.#scope.add(() => plaintext.stop());
    } catch (error) {
      this.#scope.dispose();
      throw error;
    }
    this.#scope.add(state.onChange((snapshot) => this.#live.recheck(snapshot)));
    this.#scope.add(this.#followIdentity());
    if (revocations !== undefined) {
      this.#scope.add(revocations.onChange(() => this.#live.judgeAgain(judgeWith(revocations))));
    }
    identities.request(this.principal, 'realtime');
  }

  /** Calls back once, when `ready`. */
  whenReady(callback: () => void): void {
    if (this.ready) callback();
    else this.#onReady.push(callback);
  }

  stop(reason: string): void {
    this.#scope.dispose();
    this.#hbone?.stop();
    this.#onReady = [];
    const hint = NODE_ERRORS.NODE_CLOSED;
    this.#live.abortAll(new MeshError('NODE_CLOSED', reason, { side: 'self', hint }));
    this.#context.usages.close(this.#usage);
    if (this.pod.netns !== undefined) this.#context.pool.release(this.pod.netns);
  }

  #followIdentity(): Disposer {
    const { identities, pool } = this.#context;
    const known = identities.get(this.principal);
    if (known !== undefined) this.#serveHbone(known);
    return identities.onRotate((principal, identity) => {
      if (principal !== this.principal) return;
      this.#serveHbone(identity);
      pool.retire(principal);
    });
  }

  #serveHbone(identity: TlsIdentity): void {
    if (this.#scope.disposed) return;
    if (this.#hbone !== undefined) {
      this.#hbone.replaceIdentity(identity);
      return;
    }
    try {
      this.#hbone = this.#listenHbone(identity);
    } catch (error) {
      const pod = `${this.pod.namespace}/${this.pod.name}`;
      this.#context.log.error('cannot open the HBONE listener', { pod, error: messageOf(error) });
      return;
    }
    const callbacks = this.#onReady;
    this.#onReady = [];
    for (const callback of callbacks) callback();
  }

  #listenHbone(identity: TlsIdentity): TlsListener {
    const { network, telemetry, revocations } = this.#context;
    const { listenAddress, ports = ISTIO_PORTS } = this.#options;
    const usage = this.#usage;
    const deps = { context: this.#context, pod: this.pod, usage, live: this.#live };
    return network.listenTls(
      {
        gate: usage.inbound,
        address: listenAddress,
        port: ports.hbone,
        namespace: this.pod.netns,
        mark: PROXY_MARK,
        reusePort: true,
        identity,
        clientCertificate: 'require',
        alpn: [HBONE_ALPN],
        judgePeer: revocations && judgeWith(revocations),
        onRefused: (error, source) =>
          telemetry.failedEarly({
            direction: 'inbound',
            source,
            destination: { address: listenAddress, port: ports.hbone },
            error,
          }),
      },
      (connection) => acceptHbone(deps, connection),
    );
  }
}

function judgeWith(revocations: Revocations): JudgePeer {
  return (chain) => revocations.judge(chain, 'downstream');
}
