/**
 * Tells another replica what our own proxies report (gRPC method Watch), so that each replica knows the whole mesh. A proxy is relayed from the second
 * that the other asks for: the proxy sends it again, to us, and what comes from there on goes on as it came.
 *
 *   opened ─► told ── known S ─► the proxy is asked to send since S ── its mark comes ─► relayed
 */
import { type Disposer, Scope } from '#base/disposer.ts';
import type { Logger } from '#base/log.ts';
import type { ServerStream, ServerStreamHandler } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import { EDGES_PER_MESSAGE } from '#telemetry/report/limits.ts';
import { edgeMessage, tapOf } from '#telemetry/report/messages.ts';
import { RelayMessage, ReportMessage, WatchMessage } from '#wire/protobuf/telemetry.ts';
import type { DirectProxy, Intake, RelayListener } from './intake.ts';
import { RELAYS_UNTAKEN_BYTES_MAX } from './limits.ts';

/** Handler of the gRPC method. `principal`: who may watch. */
export function watchMethod(
  intake: Intake,
  { log, principal }: { log: Logger; principal: string },
): (stream: ServerStream) => ServerStreamHandler {
  return (stream) => {
    if (stream.principals.includes(principal)) return new WatchStream(intake, log, stream);
    const shown = stream.principals.join(', ') || 'no certificate';
    const details = `only the control plane (${principal}) may watch, this is ${shown}`;
    log.warn('watch refused', { peer: stream.peer, reason: details });
    stream.close({ code: GRPC_STATUS.permissionDenied, details });
    return { onMessage: () => undefined, onClose: () => undefined };
  };
}

class WatchStream implements ServerStreamHandler, RelayListener {
  readonly #intake: Intake;
  readonly #log: Logger;
  readonly #stream: ServerStream;
  readonly #scope = new Scope();
  /** Asked for since a second, and the proxy has not begun to send from there. */
  readonly #asked = new Map<DirectProxy, number>();
  readonly #relayed = new Set<DirectProxy>();
  #untaken: number[] = [];
  #untakenBytes = 0;
  #taken = 0;

  constructor(intake: Intake, log: Logger, stream: ServerStream) {
    this.#intake = intake;
    this.#log = log;
    this.#stream = stream;
    log.info('another replica watches', { peer: stream.peer });
    const stop: Disposer = intake.relayTo(this);
    this.#scope.add(stop);
    this.#scope.add(() => intake.filters.holdFor(stream.peer, []));
    for (const proxy of intake.direct) this.onOpened(proxy);
  }

  onMessage(bytes: Uint8Array): void {
    const message = WatchMessage.decode(bytes);
    if (typeof message === 'string') {
      const details = `request is malformed: ${message}`;
      this.#stream.close({ code: GRPC_STATUS.invalidArgument, details });
      return;
    }
    const { known, taps, taken } = message;
    while (this.#taken < taken && this.#untaken.length > 0) {
      this.#untakenBytes -= this.#untaken.shift() ?? 0;
      this.#taken += 1;
    }
    if (taps !== undefined) this.#intake.filters.holdFor(this.#stream.peer, taps.taps.map(tapOf));
    for (const { proxy: key, second } of known) {
      for (const proxy of this.#intake.direct) {
        if (proxy.carrier.proxy !== key) continue;
        this.#relayed.delete(proxy);
        this.#asked.set(proxy, second);
        proxy.order({ resend: { since: second } });
      }
    }
  }

  onClose(): void {
    this.#log.info('another replica stopped watching', { peer: this.#stream.peer });
    this.#scope.dispose();
  }

  onOpened(proxy: DirectProxy): void {
    this.#send(proxy, {});
  }

  onReport(proxy: DirectProxy, bytes: Uint8Array, resentSince: number | undefined): void {
    const since = this.#asked.get(proxy);
    // Another one's question may be answered first.
    if (since !== undefined && resentSince !== undefined && resentSince <= since) {
      this.#asked.delete(proxy);
      this.#relayed.add(proxy);
      this.#sayEdges(proxy);
    }
    if (this.#relayed.has(proxy)) this.#send(proxy, { report: bytes });
  }

  onClosed(proxy: DirectProxy): void {
    this.#asked.delete(proxy);
    this.#relayed.delete(proxy);
    this.#send(proxy, { is_closed: true });
  }

  /** Those that were said before the other one listened. */
  #sayEdges(proxy: DirectProxy): void {
    const edges = proxy.carrier.edges();
    const now_ms = this.#intake.deps.clock.wallTime();
    for (let at = 0; at < edges.length; at += EDGES_PER_MESSAGE) {
      const part = edges.slice(at, at + EDGES_PER_MESSAGE).map(edgeMessage);
      const report = ReportMessage.encode(ReportMessage.create({ edges: part, now_ms }));
      this.#send(proxy, { report });
    }
  }

  #send({ carrier }: DirectProxy, relay: Partial<RelayMessage>): void {
    const bytes = RelayMessage.encode(
      RelayMessage.create({
        proxy: carrier.proxy,
        connected_ms: carrier.connectedMs,
        offset_ms: carrier.offset.ms,
        now_ms: this.#intake.deps.clock.wallTime(),
        ...relay,
      }),
    );
    this.#untaken.push(bytes.length);
    this.#untakenBytes += bytes.length;
    if (this.#untakenBytes <= RELAYS_UNTAKEN_BYTES_MAX) this.#stream.send(bytes);
    else {
      const details = `${this.#untakenBytes} bytes were not taken`;
      this.#stream.close({ code: GRPC_STATUS.resourceExhausted, details });
    }
  }
}
