/** gRPC status codes that the control plane's services use, and what they become as a MeshError. */
import { MeshError } from '#base/errors.ts';

export const GRPC_STATUS = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
}

/** The error of a call that ended with `status`; undefined when it ended well. */
export function errorOfStatus(status: GrpcStatus, cause?: unknown): MeshError | undefined {
  const { code, details } = status;
  switch (code) {
    case GRPC_STATUS.ok:
      return undefined;
    case GRPC_STATUS.unavailable:
      return new MeshError('GRPC_UNAVAILABLE', `control plane unavailable: ${details}`, {
        side: 'upstream',
        hint: 'is the control plane up and reachable? try `tulle status`',
        retry: 'safe',
        cause,
      });
    case GRPC_STATUS.deadlineExceeded:
      return new MeshError('GRPC_DEADLINE', `control plane did not answer in time: ${details}`, {
        side: 'upstream',
        hint: 'is it overloaded? try `tulle status`',
        retry: 'safe',
        cause,
      });
    case GRPC_STATUS.unauthenticated:
    case GRPC_STATUS.permissionDenied:
      return new MeshError('GRPC_REFUSED', `control plane refused: ${details}`, {
        side: 'self',
        hint: 'check the service account token and its audience',
        cause,
      });
    default:
      return new MeshError('GRPC_FAILED', `gRPC status ${code}: ${details}`, {
        side: 'upstream',
        hint: 'look at the log of the control plane at this time',
        cause,
      });
  }
}
