/** Writes the virtual addresses of ServiceEntries that have none of their own into `status.addresses`. */
import { isDeepStrictEqual } from 'node:util';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type { Collection, Index } from '#collections/collection.ts';
import { byAge, identityOf } from '#config/compile/istio-kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import type { AllocatedAddress } from '../derive/allocate-addresses.ts';
import { allocateAddresses } from '../derive/allocate-addresses.ts';
import { keyOf, namespaceOf } from '../derive/mesh.ts';
import type { ServiceEntryObject } from '../derive/service-entry.ts';
import { allocatingHosts } from '../derive/service-entry.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import type { ControllerDeps } from './ownership.ts';
import { WorkQueue } from './work-queue.ts';

export interface EntryAddresses {
  readonly entries: Collection<ServiceEntryObject>;
  /** Entries by every address that they have, given or allocated. */
  readonly byAddress: Index<ServiceEntryObject>;
}

export function startEntryAddressController(deps: ControllerDeps, from: EntryAddresses): Disposer {
  const scope = new Scope();
  /** What was written and may not have come back yet, by address. */
  const written = new Map<string, string>();
  const queue = new WorkQueue({ ...deps, log: deps.log.child('entry-addresses') }, async (key) => {
    const entry = from.entries.get(key);
    forget(written, key);
    if (entry === undefined || !deps.ownership.owns(entry)) return;
    const addresses = wanted(entry, from, written);
    for (const { value } of addresses) written.set(value, key);
    await write(deps, entry, addresses);
  });
  const addAll = () => {
    for (const [key] of from.entries.entries()) queue.add(key);
  };
  addAll();
  scope.add(deps.ownership.onChange(addAll));
  scope.add(
    from.entries.subscribe((events) => {
      for (const { key } of events) queue.add(key);
    }),
  );
  scope.add(() => queue.stop());
  return () => scope.dispose();
}

function wanted(
  entry: ServiceEntryObject,
  { byAddress }: EntryAddresses,
  written: ReadonlyMap<string, string>,
): AllocatedAddress[] {
  const owner = keyOf(entry);
  const isTaken = (address: string, present: boolean) => {
    const holder = written.get(address);
    if (holder !== undefined && holder !== owner) return true;
    const others = (byAddress.get(address) ?? []).filter((other) => keyOf(other) !== owner);
    // Of two that have the same address the older keeps it.
    return others.some((other) => !present || byAge(identityOf(other), identityOf(entry)) < 0);
  };
  const present = entry.status?.addresses ?? [];
  return allocateAddresses({ owner, hosts: allocatingHosts(entry), present, isTaken });
}

async function write(
  { client }: InformerDeps,
  entry: ServiceEntryObject,
  addresses: readonly AllocatedAddress[],
): Promise<void> {
  const before = (entry.status?.addresses ?? []).map(({ value, host }) => ({ value, host }));
  if (isDeepStrictEqual(before, addresses)) return;
  const key = { namespace: namespaceOf(entry), name: entry.metadata.name };
  const patch = { type: 'merge', body: { status: { addresses } } } as const;
  try {
    await client.patch(RESOURCES.serviceEntries, key, patch, {
      fieldManager: FIELD_MANAGER,
      subresource: 'status',
    });
  } catch (error) {
    if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
  }
}

function forget(written: Map<string, string>, key: string): void {
  for (const [address, holder] of written) if (holder === key) written.delete(address);
}
