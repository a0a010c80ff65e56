/** Makes the MeshErrors of the HTTP drivers: one place that joins a code with its hint. */
import { MeshError, type RetrySafety, type Side } from '#base/errors.ts';
import { HTTP_ERRORS, type HttpErrorCode } from './errors.ts';

export interface FaultOptions {
  side: Side;
  retry?: RetrySafety;
  cause?: unknown;
}

export function httpFault(code: HttpErrorCode, message: string, options: FaultOptions): MeshError {
  return new MeshError(code, message, { hint: HTTP_ERRORS[code], ...options });
}
