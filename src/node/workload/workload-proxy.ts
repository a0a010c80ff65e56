/**
 * The listeners of one captured pod, inside its network namespace: 15001 and 15006 at once, 15008 as soon as there is
 * a certificate. Stays until the pod goes; certificates are replaced without closing anything.
 *
 * Two generations of the node proxy may serve a pod at a time (SO_REUSEPORT): a new one opens nothing before it can
 * serve whatever comes, the old one leaves when it sees the listeners of the new. What waits in the queues of the old then
 * moves over. The kernel says who listens, so it does not matter what the other generation is, or whether it still lives.
 *
 *   watching ── can serve, or nobody else does ──▶ serving ── leave ──▶ leaving ── stop ──▶ stopped
 */
import { type Disposer, Scope } from '#base/disposer.ts';
import type { DrainPart } from '#base/drain.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { HBONE_ALPN } from '#hbone/limits.ts';
import type { Revocations } from '#identity/trust/crl-file.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { listenersOn, setQueueMigration } from '#net/netns/listeners.ts';
import type { JudgePeer, Listener, TlsListener } from '#net/network.ts';
import { INBOUND_HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from '#redirect/ports.ts';
import { DnsProxy } from '../dns/dns-proxy.ts';
import { NODE_ERRORS } from '../errors.ts';
import { acceptHbone, acceptPlaintext } from '../inbound/inbound.ts';
import { WATCH_PERIOD_MS } from '../limits.ts';
import { PROXY_MARK } from '../marks.ts';
import { acceptOutbound } from '../outbound/outbound.ts';
import type { PodUsage } from '../usage/pod-usage.ts';
import type { RemoteProxy } from '../worker/worker-group.ts';
import type { NodeContext, PodIdentity } from './context.ts';
import { LiveTraffic } from './live-traffic.ts';

export interface ProxyOptions {
  /** Wildcard address to listen on; `::` takes IPv4 too. */
  listenAddress: string;
  /** Instead of 15001, 15006 and 15008, where several proxies share one namespace. */
  ports?: { outbound: number; plaintext: number; hbone: number };
  /** Where look-ups are answered; undefined: they are not. */
  dnsPort?: number;
}

const ISTIO_PORTS = {
  outbound: OUTBOUND_PORT,
  plaintext: INBOUND_PLAINTEXT_PORT,
  hbone: INBOUND_HBONE_PORT,
};

export class WorkloadProxy implements DrainPart {
  readonly pod: PodIdentity;
  readonly principal: Principal;
  readonly live = new LiveTraffic();
  readonly #context: NodeContext;
  #options: ProxyOptions;
  readonly #usage: PodUsage;
  readonly #scope = new Scope();
  /** Of 15001 and 15006. */
  #plain: Listener[] = [];
  #hbone: TlsListener | undefined = undefined;
  #dns: DnsProxy | undefined = undefined;
  /** The same listeners in the data workers, where there are any. */
  #remote: RemoteProxy | undefined = undefined;
  #left = false;
  #onReady: (() => void)[] = [];

  constructor(context: NodeContext, pod: PodIdentity, options: ProxyOptions) {
    this.#context = context;
    this.pod = pod;
    this.#options = options;
    this.#usage = context.usages.open(pod);
    const { trustDomain = context.trustDomain } = pod;
    this.principal = formatPrincipal({ ...pod, trustDomain });
  }

  /** Identity and all three listeners are there, in every thread. */
  get ready(): boolean {
    return this.#hbone !== undefined && (this.#remote?.ready ?? true);
  }

  /** Once started somebody answers on 15053, this proxy or its predecessor: look-ups are captured only then. */
  get servesDns(): boolean {
    return this.#options.dnsPort !== undefined;
  }

  /** For a pod that wants its look-ups captured from now on; throws when the port is taken. */
  serveDns(port: number): void {
    if (this.servesDns) return;
    this.#options = { ...this.#options, dnsPort: port };
    try {
      this.#openDns();
    } catch (error) {
      this.#options = { ...this.#options, dnsPort: undefined };
      throw error;
    }
  }

  /** Another generation serves the pod and this one cannot yet. */
  get watching(): boolean {
    return this.#plain.length === 0 && !this.#left;
  }

  get remaining(): number {
    const { inbound, outbound } = this.#usage;
    // What was read may still be on its way when the socket that it came from is closed.
    const own = Math.max(inbound.current + outbound.current, this.live.sessions);
    return own + (this.#remote?.remaining ?? 0) + (this.#dns?.remaining ?? 0);
  }

  /** Opens 15001 and 15006 before it returns, unless another generation has them; throws when it cannot. */
  start(): void {
    const { identities, state, clock, log, revocations, workers } = this.#context;
    const { netns } = this.pod;
    const failure = netns && setQueueMigration(netns, true);
    if (failure !== undefined) {
      const pod = `${this.pod.namespace}/${this.pod.name}`;
      log.warn('connections that wait may be lost when this proxy is replaced', { pod, failure });
    }
    try {
      if (!this.#othersListen(this.#options.dnsPort)) this.#openDns();
      if (!this.#othersListen(this.#ports.outbound)) this.#openPlain();
    } catch (error) {
      this.stop('its listeners cannot be opened');
      throw error;
    }
    this.#scope.add(
      state.onChange((snapshot) => {
        this.live.recheck(snapshot);
        if (this.watching) this.#openWhatCan();
      }),
    );
    const { pod, principal } = this;
    // Look-ups are few and small: the main loop has them alone.
    const shared = { ...this.#options, dnsPort: undefined };
    this.#remote = workers?.serve({ ...pod, principal }, shared, () => this.#announce());
    this.#scope.add(this.#followIdentity());
    if (revocations !== undefined) {
      this.#scope.add(revocations.onChange(() => this.live.judgeAgain(judgeWith(revocations))));
    }
    identities.request(this.principal, 'realtime');
    if (!this.watching) return;
    const timer = clock.every(WATCH_PERIOD_MS, () => {
      if (this.watching) this.#openWhatCan();
      else timer.cancel();
    });
    this.#scope.add(() => timer.cancel());
  }

  /** Calls back once, when `ready`. */
  whenReady(callback: () => void): void {
    if (this.ready) callback();
    else this.#onReady.push(callback);
  }

  takenOver(): boolean {
    const { netns } = this.pod;
    const own = 1 + (this.#context.workers?.count ?? 0);
    return this.#openPorts().every((port) => listenersOn(netns, port) > own);
  }

  /** Closes the listeners, asks peers to take new tunnels elsewhere; what runs goes on under policies and certificates as before. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    for (const listener of this.#plain) listener.stop();
    this.#hbone?.stop();
    this.#dns?.leave();
    this.#remote?.leave();
    this.live.drain();
  }

  /** After `leave`: the pod is back before it was gone. */
  resume(): void {
    if (!this.#left) return;
    this.#left = false;
    this.#plain = [];
    this.#hbone = undefined;
    this.#dns?.stop();
    this.#dns = undefined;
    this.live.resume();
    this.#openPlain();
    this.#openWhatCan();
    this.#remote?.resume();
  }

  /** Sockets that somebody took from us, in words. */
  deadListeners(): string[] {
    if (this.#left) return [];
    const ports = this.#listeners()
      .filter(({ alive }) => !alive)
      .map(({ port }) => port);
    if (this.#dns?.alive === false) ports.push(this.#dns.port);
    return ports.map((port) => `listener ${port}`);
  }

  reopenListeners(): void {
    if (this.deadListeners().length === 0) return;
    if (this.#dns?.alive === false) {
      this.#dns.stop();
      this.#dns = undefined;
      this.#openDns();
    }
    const dead = new Set(this.#listeners().filter(({ alive }) => !alive));
    for (const listener of dead) listener.stop();
    this.#plain = this.#plain.map((listener, index) => {
      if (!dead.has(listener)) return listener;
      return index === 0 ? this.#listenOutbound() : this.#listenPlaintext();
    });
    if (this.#hbone === undefined || !dead.has(this.#hbone)) return;
    this.#hbone = undefined;
    this.#openWhatCan();
  }

  force(reason: string): void {
    this.#remote?.force(reason);
    const hint = NODE_ERRORS.NODE_CLOSED;
    this.live.abortAll(new MeshError('NODE_CLOSED', reason, { side: 'self', hint }));
  }

  stop(reason: string): void {
    this.#scope.dispose();
    this.leave();
    this.#onReady = [];
    this.force(reason);
    this.#dns?.stop();
    this.#remote?.stop(reason);
    this.#context.usages.close(this.#usage);
    if (this.pod.netns !== undefined) this.#context.pool.release(this.pod.netns);
  }

  get #ports() {
    return this.#options.ports ?? ISTIO_PORTS;
  }

  #listeners(): Listener[] {
    return this.#hbone === undefined ? this.#plain : [...this.#plain, this.#hbone];
  }

  #openPorts(): number[] {
    const { outbound, plaintext, hbone } = this.#ports;
    return [
      ...(this.#plain.length > 0 ? [outbound, plaintext] : []),
      ...(this.#hbone === undefined ? [] : [hbone]),
    ];
  }

  #othersListen(port = 0): boolean {
    return port !== 0 && listenersOn(this.pod.netns, port) > 0;
  }

  #followIdentity(): Disposer {
    const { identities, pool } = this.#context;
    this.#openWhatCan();
    return identities.onRotate((principal, identity) => {
      if (principal !== this.principal) return;
      if (this.#hbone === undefined) this.#openWhatCan();
      else if (!this.#left) this.#hbone.replaceIdentity(identity);
      pool.retire(principal);
    });
  }

  /** Everything at once where another generation serves: half of us would take connections and hold them up. */
  #openWhatCan(): void {
    if (this.#left || this.#scope.disposed) return;
    const { identities, state, log } = this.#context;
    const { namespace, name } = this.pod;
    const identity = identities.get(this.principal);
    try {
      if (this.watching) {
        const known = state.current.servedBy(this.pod) !== undefined;
        if (!(known && identity !== undefined) && this.#othersListen(this.#ports.outbound)) return;
        this.#openPlain();
      }
      if (identity === undefined || this.#hbone !== undefined) return;
      this.#hbone = this.#listenHbone(identity);
    } catch (error) {
      log.error('cannot listen', { pod: `${namespace}/${name}`, error: messageOf(error) });
      return;
    }
    this.#announce();
  }

  #announce(): void {
    if (!this.ready) return;
    const callbacks = this.#onReady;
    this.#onReady = [];
    for (const callback of callbacks) callback();
  }

  #openDns(): void {
    const { dnsPort } = this.#options;
    if (dnsPort === undefined || this.#dns !== undefined) return;
    const dns = new DnsProxy(this.#context.dns, this.pod, this.#usage);
    dns.start(dnsPort);
    this.#dns = dns;
  }

  #openPlain(): void {
    // First: a predecessor leaves when it sees the others.
    this.#openDns();
    const first = this.#listenOutbound();
    try {
      this.#plain = [first, this.#listenPlaintext()];
    } catch (error) {
      first.stop();
      throw error;
    }
  }

  #listenOutbound(): Listener {
    const deps = this.#deps();
    return this.#context.network.listen(
      {
        ...this.#place(),
        port: this.#ports.outbound,
        local: true,
        gate: this.#usage.outbound,
      },
      (connection) => acceptOutbound(deps, connection),
    );
  }

  #listenPlaintext(): Listener {
    const deps = this.#deps();
    return this.#context.network.listen(
      {
        ...this.#place(),
        port: this.#ports.plaintext,
        gate: this.#usage.inbound,
      },
      (connection) => acceptPlaintext(deps, connection),
    );
  }

  #listenHbone(identity: TlsIdentity): TlsListener {
    const { network, telemetry, revocations } = this.#context;
    const { hbone: port } = this.#ports;
    const deps = this.#deps();
    const destination = { address: this.#options.listenAddress, port };
    return network.listenTls(
      {
        ...this.#place(),
        port,
        gate: this.#usage.inbound,
        identity,
        clientCertificate: 'require',
        alpn: [HBONE_ALPN],
        judgePeer: revocations && judgeWith(revocations),
        onRefused: (error, source) =>
          telemetry.failedEarly({
            direction: 'inbound',
            pod: deps.pod,
            source,
            destination,
            error,
          }),
      },
      (connection) => acceptHbone(deps, connection),
    );
  }

  #deps() {
    return { context: this.#context, pod: this.pod, usage: this.#usage, live: this.live };
  }

  #place() {
    const { listenAddress: address } = this.#options;
    const { share } = this.#usage;
    return { address, namespace: this.pod.netns, mark: PROXY_MARK, reusePort: true, share };
  }
}

function judgeWith(revocations: Revocations): JudgePeer {
  return (chain) => revocations.judge(chain, 'downstream');
}
