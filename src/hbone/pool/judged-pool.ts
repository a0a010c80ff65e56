/** The pool of a proxy whose mesh revokes certificates: peers are judged by the list before a tunnel goes to them, and again when it changes. */
import { type CrlFileDeps, followCrlFile, type Revocations } from '#identity/trust/crl-file.ts';
import { TunnelPool } from './tunnel-pool.ts';
import type { PoolDeps, PoolOptions } from './tunnel-request.ts';

export interface JudgedPool {
  readonly pool: TunnelPool;
  /** Undefined: the mesh revokes nothing. */
  readonly revocations: Revocations | undefined;
}

export function openJudgedPool(
  deps: Omit<PoolDeps, 'judgePeer'> & CrlFileDeps,
  { crlFile, ...options }: PoolOptions & { readonly crlFile: string | undefined },
): JudgedPool {
  const { network, clock, identities } = deps;
  const base = { network, clock, identities };
  if (crlFile === undefined) {
    return { pool: new TunnelPool(base, options), revocations: undefined };
  }
  const revocations = followCrlFile(crlFile, deps);
  const judgePeer = (chain: readonly Uint8Array[]) => revocations.judge(chain, 'upstream');
  const pool = new TunnelPool({ ...base, judgePeer }, options);
  revocations.onChange(() => pool.judgeAgain());
  return { pool, revocations };
}
