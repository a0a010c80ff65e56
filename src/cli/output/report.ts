/** Ends a command: prints the error as what happened, the cause and the next command, and picks the exit status. */
import { isMeshError, messageOf } from '#base/errors.ts';

/** 0 done; 1 the answer is no; 2 wrong usage; 3 could not reach or do it. */
export const EXIT = { done: 0, no: 1, usage: 2, failed: 3 } as const;

/** Thrown by a command whose answer is "no" after it has printed that answer. */
export class AnswerIsNo extends Error {
  override readonly name = 'AnswerIsNo';
}

/** Thrown for arguments that cannot be understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Ends with the status of a program that ran elsewhere and has said everything itself. */
export class ExitWith extends Error {
  override readonly name = 'ExitWith';
  readonly status: number;
  constructor(status: number) {
    super(`exit status ${status}`);
    this.status = status;
  }
}

export interface Report {
  text: string;
  status: number;
}

/** Bun's fetch ends its messages with advice for whoever calls it in a program. */
const BUN_ADVICE = / ?For more information, pass `verbose: true`.*$/s;

function causeOf(text: string, message: string): string {
  const cause = text.replace(BUN_ADVICE, '');
  return message.includes(cause) ? '' : `\n  cause: ${cause}`;
}

export function reportOf(error: unknown): Report {
  if (error instanceof AnswerIsNo)
    return { text: error.message === '' ? '' : `${error.message}\n`, status: EXIT.no };
  if (error instanceof ExitWith) return { text: '', status: error.status };
  if (error instanceof UsageError) return { text: `error: ${error.message}\n`, status: EXIT.usage };
  if (isMeshError(error)) {
    const cause = error.cause === undefined ? '' : causeOf(messageOf(error.cause), error.message);
    const hint = error.hint === '' ? '' : `\n  try: ${error.hint}`;
    return { text: `error: ${error.message}${cause}${hint}\n`, status: EXIT.failed };
  }
  // Anything else is our own bug: show where.
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { text: `internal error, please report it: ${stack}\n`, status: EXIT.failed };
}
