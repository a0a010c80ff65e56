/** Small pieces of text for answers. */
import type { HeaderOperations } from '#model/route/route-table.ts';
import type { Locality } from '#model/workload/workload.ts';
import type { WhyOperations } from './contract.ts';

/** `region/zone/subzone`, as far as known. */
export function formatLocality({ region, zone, subzone }: Locality): string {
  return [region, zone, subzone].join('/').replace(/\/+$/, '');
}

/** Undefined when there is nothing to do. Of one name the later level's value counts. */
export function mergeOperations(
  ...levels: readonly (HeaderOperations | undefined)[]
): WhyOperations | undefined {
  const set: Record<string, string> = {};
  const add: Record<string, string> = {};
  const remove: string[] = [];
  for (const level of levels) {
    Object.assign(set, level?.set);
    for (const [name, value] of Object.entries(level?.add ?? {}))
      add[name] = add[name] === undefined ? value : `${add[name]},${value}`;
    remove.push(...(level?.remove ?? []));
  }
  if (Object.keys(set).length + Object.keys(add).length + remove.length === 0) return undefined;
  return {
    ...(Object.keys(set).length > 0 && { set }),
    ...(Object.keys(add).length > 0 && { add }),
    ...(remove.length > 0 && { remove }),
  };
}
