/**
 * The control plane's end of a proxy's telemetry stream (gRPC method Report). Only a proxy of the mesh may report, and only as itself. What it sends
 * beyond its rate is told to be taken later, so that it waits; one that does not wait, or sends what is too large or malformed, is
 * ended, with the reason on both sides. The proxy opens it again.
 */
import type { Timer } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ServerStream, ServerStreamHandler } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import { type OrderMessage, ReportMessage } from '#wire/protobuf/telemetry.ts';
import type { Caller } from '../push/caller.ts';
import { type CheckDeps, checkedStream } from '../push/checked-stream.ts';
import type { Carrier } from './carrier.ts';
import { ClockOffset } from './clock-offset.ts';
import { type DirectProxy, encodeOrder, type Intake } from './intake.ts';
import {
  REPORT_BYTES_BURST_MAX,
  REPORT_BYTES_MAX,
  REPORT_BYTES_PER_SECOND_MAX,
  REPORTS_BURST_MAX,
  REPORTS_PER_SECOND_MAX,
  UNTAKEN_RECEIVED_MAX,
  UNTAKEN_REPORTS_MAX,
} from './limits.ts';
import { TokenBucket } from './token-bucket.ts';

/** Handler of the gRPC method. */
export function reportMethod(
  intake: Intake,
  deps: CheckDeps,
): (stream: ServerStream) => ServerStreamHandler {
  return (stream) =>
    checkedStream(stream, deps, {
      title: 'telemetry',
      accept: (caller) => new ReportStream(intake, deps.log, { stream, caller }),
    });
}

class ReportStream implements ServerStreamHandler, DirectProxy {
  readonly #intake: Intake;
  readonly #log: Logger;
  readonly #stream: ServerStream;
  readonly #caller: Caller;
  readonly #offset = new ClockOffset();
  readonly #reports: TokenBucket;
  readonly #bytes: TokenBucket;
  #carrier: Carrier | undefined;
  #taken = 0;
  /** Of those the proxy knows. */
  #toldTaken = 0;
  #untoldBytes = 0;
  #later: Timer | undefined;
  #over = false;

  constructor(intake: Intake, log: Logger, of: { stream: ServerStream; caller: Caller }) {
    this.#intake = intake;
    this.#log = log;
    this.#stream = of.stream;
    this.#caller = of.caller;
    const { clock } = intake.deps;
    this.#reports = new TokenBucket(clock, {
      burst: REPORTS_BURST_MAX,
      perSecond: REPORTS_PER_SECOND_MAX,
    });
    this.#bytes = new TokenBucket(clock, {
      burst: REPORT_BYTES_BURST_MAX,
      perSecond: REPORT_BYTES_PER_SECOND_MAX,
    });
  }

  /** Once it said who it is; before that it is nobody's. */
  get carrier(): Carrier {
    if (this.#carrier === undefined) throw new Error('a stream without hello is not handed out');
    return this.#carrier;
  }

  order(order: Partial<OrderMessage>): void {
    if (!this.#over) this.#stream.send(encodeOrder({ ...order, taken: this.#toldTaken }));
  }

  end(reason: string): void {
    this.#close(GRPC_STATUS.unavailable, reason);
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#over) return;
    if (bytes.length > REPORT_BYTES_MAX) {
      this.#refuse(GRPC_STATUS.resourceExhausted, `a report of ${bytes.length} bytes`);
    } else if (
      this.#untoldBytes + bytes.length > UNTAKEN_RECEIVED_MAX ||
      this.#taken - this.#toldTaken >= UNTAKEN_REPORTS_MAX
    ) {
      this.#refuse(GRPC_STATUS.resourceExhausted, 'it does not wait until its reports are taken');
    } else {
      const report = ReportMessage.decode(bytes);
      if (typeof report !== 'string') this.#take(report, bytes);
      else this.#refuse(GRPC_STATUS.invalidArgument, `report is malformed: ${report}`);
    }
  }

  onClose(): void {
    this.#over = true;
    this.#later?.cancel();
    if (this.#carrier === undefined) return;
    this.#log.info('proxy stopped reporting', { proxy: this.#carrier.proxy });
    this.#intake.left(this);
  }

  #take(report: ReportMessage, bytes: Uint8Array): void {
    const { clock } = this.#intake.deps;
    const receivedMs = clock.wallTime();
    // The first one has waited until its token was checked: it says nothing about clocks.
    if (this.#taken > 0 && report.now_ms > 0) this.#offset.note(report.now_ms, receivedMs);
    const carrier = this.#carrier ?? this.#begin(report);
    if (carrier === undefined) return;
    this.#taken += 1;
    this.#untoldBytes += bytes.length;
    const problem = carrier.take(report, receivedMs);
    if (problem !== undefined) {
      this.#refuse(GRPC_STATUS.invalidArgument, problem);
      return;
    }
    if (this.#taken === 1) {
      this.#toldTaken = 1;
      this.#intake.welcome(this);
    } else {
      this.#intake.reported(this, bytes, report.resent_since);
      this.#sayTaken(Math.max(this.#reports.spend(1), this.#bytes.spend(bytes.length)));
    }
  }

  #sayTaken(waitMs: number): void {
    if (this.#later !== undefined) return;
    const say = () => {
      this.#later = undefined;
      this.#toldTaken = this.#taken;
      this.#untoldBytes = 0;
      this.order({});
    };
    if (waitMs === 0) say();
    else this.#later = this.#intake.deps.clock.after(waitMs, say);
  }

  #begin({ hello }: ReportMessage): Carrier | undefined {
    if (hello === undefined) {
      this.#refuse(GRPC_STATUS.invalidArgument, 'the first report does not say who sends it');
      return undefined;
    }
    const { proxy, version } = hello;
    const problem = this.#intake.deps.reportProblem(this.#caller, proxy);
    if (problem !== undefined) {
      this.#refuse(GRPC_STATUS.permissionDenied, problem);
      return undefined;
    }
    const connectedMs = this.#intake.deps.clock.wallTime();
    this.#carrier = this.#intake.begin({ proxy, connectedMs, replica: '', offset: this.#offset });
    if (this.#carrier === undefined) this.end('a younger stream of this proxy is open');
    else this.#log.info('proxy reports', { proxy, version, peer: this.#stream.peer });
    return this.#carrier;
  }

  #refuse(code: number, reason: string): void {
    const { peer } = this.#stream;
    const proxy = this.#carrier?.proxy;
    this.#log.warn('telemetry stream refused', { peer, proxy, reason });
    this.#close(code, reason);
  }

  #close(code: number, details: string): void {
    if (this.#over) return;
    // `onClose` comes of it.
    this.#stream.close({ code, details });
    this.#over = true;
  }
}
