/** An `SvidStore` of certificates that are already there; nothing is fetched or renewed. */
import { MeshError } from '#base/errors.ts';
import { publicPart, type SvidStore } from '#identity/svid/svid-store.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { NODE_ERRORS } from '../errors.ts';

export function staticIdentities(
  known: Map<Principal, TlsIdentity>,
): SvidStore & { set(principal: Principal, identity: TlsIdentity): void } {
  const listeners = new Set<(principal: Principal, identity: TlsIdentity) => void>();
  return {
    get: (principal) => known.get(principal),
    lastIssued(principal) {
      const identity = known.get(principal);
      return identity && publicPart(identity);
    },
    request: () => undefined,
    async whenReady(principal) {
      const identity = known.get(principal);
      if (identity !== undefined) return identity;
      throw new MeshError('NODE_NO_IDENTITY', `the file has no certificate for ${principal}`, {
        side: 'config',
        hint: NODE_ERRORS.NODE_NO_IDENTITY,
      });
    },
    onRotate(callback) {
      listeners.add(callback);
      return () => void listeners.delete(callback);
    },
    retry: () => undefined,
    forget: (principal) => void known.delete(principal),
    status: () =>
      [...known.keys()].map((principal) => ({
        principal,
        state: 'ready' as const,
        notBefore: undefined,
        notAfter: undefined,
        serial: undefined,
        lastError: undefined,
      })),
    stop: () => listeners.clear(),
    set(principal, identity) {
      known.set(principal, identity);
      for (const listener of listeners) listener(principal, identity);
    },
  };
}
