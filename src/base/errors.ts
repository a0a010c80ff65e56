/**
 * `MeshError`: the one class for operating failures (a peer hung up, a file is missing, the CA said no).
 * Bugs use `assert`; hostile bytes use negative reason codes and become a MeshError once, at the driver.
 */

export type Side = 'downstream' | 'upstream' | 'self' | 'config';
/** Whether the same work may be tried again elsewhere without being done twice. */
export type RetrySafety = 'never' | 'safe' | 'reused-connection-only';

export interface MeshErrorOptions {
  side: Side;
  /** What to do next, as a command where there is one. */
  hint: string;
  retry?: RetrySafety;
  cause?: unknown;
  /** Name of the policy or limit that decided, for logs and metrics. */
  decidedBy?: string;
}

export class MeshError extends Error {
  override readonly name = 'MeshError';
  readonly code: string;
  readonly side: Side;
  readonly hint: string;
  readonly retry: RetrySafety;
  readonly decidedBy: string | undefined;

  constructor(code: string, message: string, options: MeshErrorOptions) {
    super(message, { cause: options.cause });
    this.code = code;
    this.side = options.side;
    this.hint = options.hint;
    this.retry = options.retry ?? 'never';
    this.decidedBy = options.decidedBy;
  }
}

export function isMeshError(value: unknown, code?: string): value is MeshError {
  return value instanceof MeshError && (code === undefined || value.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the file system or the YAML parser said, as one clause: without the code and the path that the one repeats, and the picture that the other adds. */
export function clauseOf(error: unknown): string {
  const [line] = messageOf(error).split('\n', 1);
  return line
    .replace(/^E[A-Z]+: /, '')
    .replace(/, \w+ '.*'$/, '')
    .replace(/:$/, '');
}
