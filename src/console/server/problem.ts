/** What is wrong with a request, as an error with its code, and as the answer: one table turns a code into a status. */
import { MeshError } from '#base/errors.ts';
import type { ErrorAnswer } from '../api/mesh.ts';
import { CONSOLE_ERRORS, type ConsoleErrorCode } from './errors.ts';

const STATUS: Readonly<Record<string, number>> = {
  CONSOLE_BAD_PARAMETER: 400,
  CONSOLE_BAD_BODY: 400,
  CONSOLE_NOT_LOGGED_IN: 401,
  CONSOLE_TOKEN_REFUSED: 401,
  CONSOLE_FORBIDDEN: 403,
  CONSOLE_READ_ONLY: 403,
  CONSOLE_FOREIGN_ORIGIN: 403,
  CONSOLE_NO_CSRF: 403,
  CONSOLE_NOT_FOUND: 404,
  CONSOLE_METHOD: 405,
  CONSOLE_TOO_LARGE: 413,
  CONSOLE_TOO_MANY: 429,
  CONSOLE_INTERNAL: 500,
  CONSOLE_UNAVAILABLE: 503,
  // Between a thread that died and the next one.
  CONSOLE_STORE_STOPPED: 503,
  CONTROL_TAPS_FULL: 503,
  // Of the API server, where a reader's own token was used.
  KUBE_UNAUTHORIZED: 401,
  KUBE_FORBIDDEN: 403,
  KUBE_NOT_FOUND: 404,
  KUBE_CONFLICT: 409,
  KUBE_ALREADY_EXISTS: 409,
  KUBE_INVALID: 422,
  KUBE_GONE: 503,
  KUBE_UNAVAILABLE: 503,
};

/** `field`: the member of the query or body that it is about. */
export interface ProblemDetail {
  readonly hint?: string;
  readonly field?: string;
  readonly retryAfterSeconds?: number;
  /** Methods that the address has. */
  readonly allow?: readonly string[];
  /** Instead of the code's usual one. */
  readonly status?: number;
  readonly cause?: unknown;
}

export class Problem extends MeshError {
  readonly detail: ProblemDetail;
  constructor(code: ConsoleErrorCode, message: string, detail: ProblemDetail = {}) {
    const { hint = CONSOLE_ERRORS[code], cause } = detail;
    super(code, message, { side: 'downstream', hint, cause });
    this.detail = detail;
  }
}

export function badParameter(field: string, message: string, hint?: string): Problem {
  return new Problem('CONSOLE_BAD_PARAMETER', `${field}: ${message}`, { field, hint });
}

export function notFound(message: string, hint?: string): Problem {
  return new Problem('CONSOLE_NOT_FOUND', message, { hint });
}

export interface ProblemAnswer {
  readonly status: number;
  readonly body: ErrorAnswer;
  readonly retryAfterSeconds?: number;
  readonly allow?: readonly string[];
}

/** Undefined: that is no operating failure but a bug of ours. */
export function answerOf(error: unknown): ProblemAnswer | undefined {
  if (!(error instanceof MeshError)) return undefined;
  const { status, field, retryAfterSeconds, allow }: ProblemDetail =
    error instanceof Problem ? error.detail : {};
  return {
    status: status ?? STATUS[error.code] ?? 500,
    body: { error: error.message, code: error.code, hint: error.hint, ...(field && { field }) },
    retryAfterSeconds,
    allow,
  };
}
