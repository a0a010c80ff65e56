/** Who is at the other end of a call to the control plane, as its bearer token proved. */
import type { CallContext } from '#http/grpc/server.ts';

export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod that the token is bound to. */
  readonly pod: { readonly name: string; readonly uid: string } | undefined;
}

/** A string is the reason why the token is refused. Rejects when the question could not be asked. */
export type Authenticate = (token: string) => Promise<Caller | string>;

/**
 * Who makes this call: the bearer token, checked with the API server of the cluster that the client says it is in.
 * A string is the reason for a refusal.
 */
export async function authenticateCall(
  context: CallContext,
  { authenticate, clusterId }: { authenticate: Authenticate; clusterId: string },
): Promise<Caller | string> {
  const token = bearerToken(context);
  if (token === undefined) return 'no bearer token';
  const claimed = context.header('clusterid');
  if (claimed !== undefined && claimed !== '' && claimed !== clusterId) {
    return `the client is of cluster ${claimed}, this control plane knows ${clusterId} only`;
  }
  return authenticate(token);
}

function bearerToken(context: CallContext): string | undefined {
  const header = context.header('authorization');
  return header?.startsWith('Bearer ') ? header.slice('Bearer '.length) : undefined;
}
