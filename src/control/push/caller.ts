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

export function bearerToken(context: CallContext): string | undefined {
  const header = context.header('authorization');
  return header?.startsWith('Bearer ') ? header.slice('Bearer '.length) : undefined;
}
