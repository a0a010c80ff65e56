/**
 * One installation at a time on a cluster: Lease `tulle-install`. Whether its holder still lives is seen by its renewals, on our own
 * clock, so that nobody's time of day matters.
 */
import { type Clock, rfc3339, sleep } from '#base/clock.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Lease } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { LOCK_RENEW_MS, LOCK_STALE_MS } from '../limits.ts';

export const LOCK_NAME = 'tulle-install';

export interface Lock {
  /** Gives it back; nothing of it is left. */
  release(): Promise<void>;
}

export interface LockDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Who we are, for whoever finds the lock taken. */
  readonly holder: string;
  /** Told when somebody else has the lock and it is to be seen whether they live. */
  readonly onWait: (holder: string) => void;
}

export async function takeLock(deps: LockDeps, namespace: string): Promise<Lock> {
  const { client, clock, holder } = deps;
  const key = { namespace, name: LOCK_NAME };
  let lease = await acquire(deps, key);
  let renewing: Promise<unknown> = Promise.resolve();
  const timer = clock.every(LOCK_RENEW_MS, () => {
    renewing = client
      .update<Lease>(RESOURCES.leases, { ...lease, spec: specOf(deps) })
      .then((renewed) => {
        lease = renewed;
      })
      // What it protects goes on: a missed renewal only shortens the life of the lock.
      .catch((error: unknown) => messageOf(error));
  });
  return {
    async release() {
      timer.cancel();
      await renewing;
      const held = await find(client, key);
      if (held?.spec?.holderIdentity !== holder) return;
      await client.delete(RESOURCES.leases, key).catch((error: unknown) => {
        if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
      });
    },
  };
}

type Key = { namespace: string; name: string };

async function acquire(deps: LockDeps, key: Key): Promise<Lease> {
  const { client, clock } = deps;
  const created = await create(deps, key);
  if (created !== undefined) return created;
  const seen = await find(client, key);
  if (seen === undefined) return acquire(deps, key);
  const other = seen.spec?.holderIdentity ?? 'somebody';
  deps.onWait(other);
  await sleep(clock, LOCK_STALE_MS);
  const now = await find(client, key);
  if (now === undefined) return acquire(deps, key);
  if (now.metadata.resourceVersion !== seen.metadata.resourceVersion) throw taken(other, key, now);
  try {
    return await client.update<Lease>(RESOURCES.leases, { ...now, spec: specOf(deps) });
  } catch (error) {
    if (isMeshError(error, 'KUBE_CONFLICT')) throw taken(other, key, now);
    throw error;
  }
}

async function create(deps: LockDeps, key: Key): Promise<Lease | undefined> {
  try {
    return await deps.client.create<Lease>(RESOURCES.leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: key,
      spec: specOf(deps),
    });
  } catch (error) {
    if (isMeshError(error, 'KUBE_ALREADY_EXISTS')) return undefined;
    throw error;
  }
}

function specOf({ holder, clock }: LockDeps): NonNullable<Lease['spec']> {
  const renewTime = rfc3339(clock).replace('Z', '000Z');
  return {
    holderIdentity: holder,
    leaseDurationSeconds: Math.ceil(LOCK_STALE_MS / 1000),
    renewTime,
  };
}

async function find(client: KubeClient, key: Key): Promise<Lease | undefined> {
  try {
    return await client.get<Lease>(RESOURCES.leases, key);
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function taken(holder: string, { namespace, name }: Key, lease: Lease): MeshError {
  const since = lease.metadata.creationTimestamp ?? 'now';
  return new MeshError(
    'INSTALL_LOCKED',
    `${holder} installs or removes Tulle right now, since ${since} (Lease ${namespace}/${name})`,
    { side: 'self', hint: INSTALL_ERRORS.INSTALL_LOCKED },
  );
}
