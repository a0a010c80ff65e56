/**
 * Faults made on purpose: the delay first, then the abort, each by its own draw (Envoy's fault filter). Callers cannot ask for faults:
 * `x-envoy-fault-*` fields have no meaning here.
 */
import type { Random } from '#base/random.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { Fault, Percent } from '#model/route/route-table.ts';
import { replyHead } from '../respond.ts';
import type { Answer } from './answer.ts';

export interface FaultDraw {
  /** 0 = none. */
  readonly delayMs: number;
  readonly abort: Fault['abort'];
}

/** Undefined: nothing happens to this request. */
export function drawFault(fault: Fault, random: Random): FaultDraw | undefined {
  const { delay, abort } = fault;
  const delayMs = delay !== undefined && drawn(delay.percent, random) ? delay.ms : 0;
  const aborts = abort !== undefined && drawn(abort.percent, random);
  if (delayMs === 0 && !aborts) return undefined;
  return { delayMs, abort: aborts ? abort : undefined };
}

const encoder = new TextEncoder();
const TEXT = 'fault filter abort';

/** A gRPC status is nothing to a caller that does not speak gRPC: it gets 200, as Envoy answers. */
export function answerOfAbort(
  abort: NonNullable<Fault['abort']>,
  { isGrpc }: { isGrpc: boolean },
): Answer {
  const flags = 'FI';
  const details = 'fault_filter_abort';
  if ('grpcStatus' in abort) {
    if (!isGrpc) {
      const body = encoder.encode(TEXT);
      return { head: replyHead({ status: 200 }, body), body, flags, details };
    }
    const head: MessageHead = replyHead({ status: 503 }, new Uint8Array(0), TEXT);
    head.set('grpc-status', String(abort.grpcStatus));
    return { head, body: new Uint8Array(0), flags, details };
  }
  const body = isGrpc ? new Uint8Array(0) : encoder.encode(TEXT);
  const head = replyHead({ status: abort.httpStatus }, body, isGrpc ? TEXT : undefined);
  return { head, body, flags, details };
}

/** Whether a share of `percent`, to a millionth, takes this request. */
export function drawn(percent: Percent, random: Random): boolean {
  if (percent >= 100) return true;
  return percent > 0 && random.fraction() * 100 < percent;
}
