/**
 * Compiles each object of a collection and keeps the last good result in force while a newer form has errors. Lives as
 * long as the object (same uid); a control plane that restarts has no memory of it: then `fallback` is in force.
 */
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';

export interface Kept<U> {
  readonly value: U | undefined;
  readonly findings: readonly Finding[];
}

export function keepLastGood<T extends KubeObject, U>(
  graph: Graph,
  name: string,
  parent: Collection<T>,
  compile: (object: T) => { value: U | undefined; fallback?: U; findings: readonly Finding[] },
): { kept: Collection<Kept<U>>; good: Collection<U> } {
  const memory = new Map<string, { uid: string | undefined; value: U }>();
  const kept = graph.map(name, parent, (object, _reads, key): Kept<U> => {
    const { uid } = object.metadata;
    const { value, fallback, findings } = compile(object);
    const broken = findings.some((finding) => finding.level === 'error');
    if (value !== undefined) memory.set(key, { uid, value });
    // Refused for what it is, not for an error: nothing old may stay in force then.
    else if (!broken) memory.delete(key);
    const last = memory.get(key);
    const lastGood = last?.uid === uid ? last?.value : undefined;
    return { value: value ?? lastGood ?? fallback, findings };
  });
  parent.subscribe((events) => {
    for (const { key, value } of events) if (value === undefined) memory.delete(key);
  });
  const good = graph.map(`${name}.good`, kept, ({ value }) => value);
  return { kept, good };
}
