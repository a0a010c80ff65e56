/** What became of requests, in few letters: `c404` a status code (`c0`: not answered), `g14` a gRPC status, `fUH` a response flag. */
import type { FlowEdge } from '#telemetry/flow/flow-frame.ts';

export const OK_CODE = 200;
export const OK_GRPC = 0;

export const codeOutcome = (code: number) => `c${code}`;
export const grpcOutcome = (status: number) => `g${status}`;
export const flagOutcome = (flag: string) => `f${flag}`;

/**
 * Whether it counts as failed in rates that tell one number: not answered and 5xx for HTTP, any status but OK for gRPC (whose code is 200 then). What is the
 * client's doing (4xx) is judged by health/ with limits of its own.
 */
export function isErrorOutcome(outcome: string, protocol: FlowEdge['protocol']): boolean {
  const kind = outcome[0];
  const value = outcome.slice(1);
  if (kind === 'g') return protocol === 'grpc' && value !== '0';
  if (kind !== 'c') return false;
  return value === '0' || (value.length === 3 && value[0] === '5');
}
