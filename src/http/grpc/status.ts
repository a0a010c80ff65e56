/** gRPC status codes that the control plane's services use, and what they become as a MeshError. */
import { MeshError } from '#base/errors.ts';
import type { MessageHead } from '../dispatch/message-head.ts';

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

/** What trailers, or a head without a body, say; undefined when they do not. */
export function statusOfFields(head: MessageHead): GrpcStatus | undefined {
  const code = head.get('grpc-status');
  if (code === undefined) return undefined;
  const details = decodeMessage(head.get('grpc-message') ?? '');
  return { code: /^\d{1,2}$/.test(code) ? Number(code) : GRPC_STATUS.unknown, details };
}

/** The fields that end a call. */
export function putStatus(head: MessageHead, { code, details }: GrpcStatus): void {
  head.add('grpc-status', String(code));
  if (details !== '') head.add('grpc-message', encodeMessage(details));
}

/** Something else than a gRPC server answered (gRPC, "HTTP to gRPC Status Code Mapping"). */
export function statusOfHttp(status: number): GrpcStatus {
  const details = `HTTP status ${status} instead of a gRPC answer`;
  const mapped = HTTP_STATUS[status] ?? GRPC_STATUS.unknown;
  return { code: mapped, details };
}

const HTTP_STATUS: Readonly<Record<number, number>> = {
  400: GRPC_STATUS.internal,
  401: GRPC_STATUS.unauthenticated,
  403: GRPC_STATUS.permissionDenied,
  404: GRPC_STATUS.unimplemented,
  429: GRPC_STATUS.unavailable,
  502: GRPC_STATUS.unavailable,
  503: GRPC_STATUS.unavailable,
  504: GRPC_STATUS.unavailable,
};

/** Printable ASCII but `%` stays as it is (gRPC over HTTP/2, "Percent-Encoded"). */
function encodeMessage(text: string): string {
  return text.toWellFormed().replace(/[^ -$&-~]+/gu, encodeURIComponent);
}

/** Percent-encoded UTF-8; what is not is shown as it came. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (_malformed) {
    return text;
  }
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
    case GRPC_STATUS.unimplemented:
      return new MeshError('GRPC_UNIMPLEMENTED', `control plane does not know this: ${details}`, {
        side: 'upstream',
        hint: 'compare the versions of the control plane and this proxy: `tulle version`',
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
