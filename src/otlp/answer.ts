/** What a collector's answer means (OTLP specification, "Failures", "Partial Success"). Pure. */
import type { SendOutcome } from './export-queue.ts';
import { RETRY_AFTER_MAX_MS } from './limits.ts';
import { ExportAnswer, RpcStatus } from './messages.ts';

const ACCEPTED: SendOutcome = { kind: 'accepted', rejected: 0, reason: '' };

/** The body of a good answer, in protobuf. */
export function acceptedBy(body: Uint8Array): SendOutcome {
  const answer = ExportAnswer.decode(body);
  // Some collectors answer with nothing, some with what is no message: they took it all the same.
  if (typeof answer === 'string' || answer.partialSuccess === undefined) return ACCEPTED;
  const { rejected, errorMessage: reason } = answer.partialSuccess;
  return rejected > 0 ? { kind: 'accepted', rejected, reason } : ACCEPTED;
}

export function acceptedByJson(text: string): SendOutcome {
  const { partialSuccess } = parsed(text);
  if (typeof partialSuccess !== 'object' || partialSuccess === null) return ACCEPTED;
  const { rejectedSpans, rejectedLogRecords, errorMessage } = partialSuccess as Bag;
  const rejected = Number(rejectedSpans ?? rejectedLogRecords ?? 0);
  const reason = String(errorMessage ?? '');
  return rejected > 0 ? { kind: 'accepted', rejected, reason } : ACCEPTED;
}

type Bag = Record<string, unknown>;

function parsed(text: string): Bag {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Bag) : {};
  } catch (_noJson) {
    return {};
  }
}

/** "Retryable Response Codes". */
const AGAIN = new Set([429, 502, 503, 504]);

export interface HttpAnswer {
  readonly status: number;
  readonly isJson: boolean;
  readonly body: Uint8Array;
  /** Retry-After. */
  readonly retryAfter: string | null;
  readonly nowMs: number;
}

export function httpOutcome(answer: HttpAnswer): SendOutcome {
  const { status, isJson, body } = answer;
  if (status >= 200 && status < 300) {
    return isJson ? acceptedByJson(Buffer.from(body).toString()) : acceptedBy(body);
  }
  const text = errorText(answer);
  const reason = `HTTP status ${status}${text === '' ? '' : `: ${text}`}`;
  if (!AGAIN.has(status)) return { kind: 'refused', reason };
  return { kind: 'again', reason, afterMs: retryAfterMs(answer) };
}

/** As far as it is fit for a log line. */
function errorText({ isJson, body }: HttpAnswer): string {
  const status = isJson ? undefined : RpcStatus.decode(body);
  const text =
    isJson || typeof status === 'string'
      ? String(parsed(Buffer.from(body).toString()).message ?? '')
      : (status?.message ?? '');
  return text.replace(/[^ -~]+/g, ' ').slice(0, 200);
}

/** Seconds or a date (RFC 9110 §10.2.3); what is neither is nothing. */
function retryAfterMs({ retryAfter, nowMs }: HttpAnswer): number | undefined {
  if (retryAfter === null) return undefined;
  const afterMs = /^\d+$/.test(retryAfter)
    ? Number(retryAfter) * 1000
    : Date.parse(retryAfter) - nowMs;
  if (!(afterMs > 0)) return undefined;
  return Math.min(afterMs, RETRY_AFTER_MAX_MS);
}
