/**
 * What changed, as people would say it: objects of configuration with the fields that differ, deployments by the images of their pods, services by how
 * many endpoints they have. Nothing is told until everything that was there at the start has come in.
 */
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import type { Clock } from '#base/clock.ts';
import type { Collection, CollectionEvent } from '#collections/collection.ts';
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import type { MeshChange } from '#console/mesh-view.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { namespaceOf } from '../../derive/mesh.ts';
import { ownerName } from '../../derive/workload.ts';
import type { MeshSources } from '../../ingest/mesh-graph.ts';
import { CHANGED_FIELDS_MAX } from '../../limits.ts';
import { CONFIG_SOURCES } from './config.ts';
import { ownerKind } from './workloads.ts';

export type Tell = (change: MeshChange) => void;

/** Written by controllers and the API server, not by who changes something. */
const UNTOLD_METADATA = new Set([
  'managedFields',
  'resourceVersion',
  'generation',
  'uid',
  'creationTimestamp',
  'selfLink',
]);

export class ChangeTeller {
  readonly #clock: Clock;
  readonly #tell: Tell;
  readonly #endpoints = new EndpointCounts();
  readonly #deployments = new Deployments();
  #isTelling = false;

  constructor(deps: { clock: Clock }, tell: Tell) {
    this.#clock = deps.clock;
    this.#tell = tell;
  }

  follow(sources: MeshSources, workloads: Collection<LabeledWorkload>): void {
    for (const name of CONFIG_SOURCES) {
      const source = sources[name] as unknown as Collection<KubeObject>;
      source.subscribe((events) =>
        this.#report(events.flatMap((event) => configChange(event) ?? [])),
      );
    }
    // What is there already is where changes start from.
    this.#deployments.read(asAdded(sources.pods));
    this.#endpoints.read(asAdded(workloads));
    sources.pods.subscribe((events) => this.#report(this.#deployments.read(events)));
    workloads.subscribe((events) => this.#report(this.#endpoints.read(events)));
  }

  /** What there is from now on is a change. */
  start(): void {
    this.#isTelling = true;
  }

  #report(changes: readonly Omit<MeshChange, 'atMs'>[]): void {
    if (!this.#isTelling) return;
    const atMs = this.#clock.wallTime();
    for (const change of changes) this.#tell({ atMs, ...change });
  }
}

function asAdded<T>(collection: Collection<T>): CollectionEvent<T>[] {
  return [...collection.entries()].map(([key, value]) => ({ key, value, previous: undefined }));
}

type Told = Omit<MeshChange, 'atMs'>;

export function configChange({ value, previous }: CollectionEvent<KubeObject>): Told | undefined {
  const object = value ?? previous;
  if (object === undefined) return undefined;
  const [before, after] = [told(previous), told(value)];
  // A status, or what a controller keeps in the metadata.
  if (isDeepStrictEqual(before, after)) return undefined;
  const namespace = object.metadata.namespace;
  const name =
    namespace === undefined ? object.metadata.name : `${namespace}/${object.metadata.name}`;
  return {
    kind: 'config',
    resource: `${object.kind} ${name}`,
    change: previous === undefined ? 'added' : value === undefined ? 'removed' : 'changed',
    summary:
      previous === undefined
        ? 'added'
        : value === undefined
          ? 'removed'
          : fieldsChanged(before, after),
    before: before === undefined ? '' : stringify(before),
    after: after === undefined ? '' : stringify(after),
  };
}

/** As somebody would have written it. */
export function told(object: KubeObject | undefined): Record<string, unknown> | undefined {
  if (object === undefined) return undefined;
  const { status: _status, metadata, ...rest } = object as KubeObject & { status?: unknown };
  const kept = Object.entries(metadata).filter(([name]) => !UNTOLD_METADATA.has(name));
  const { apiVersion, kind, ...content } = rest as Record<string, unknown>;
  return { apiVersion, kind, metadata: Object.fromEntries(kept), ...content };
}

function fieldsChanged(before: unknown, after: unknown): string {
  const paths: string[] = [];
  differences(before, after, '', paths);
  const more = paths.length - CHANGED_FIELDS_MAX;
  return [...paths.slice(0, CHANGED_FIELDS_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join(
    ', ',
  );
}

function differences(before: unknown, after: unknown, path: string, paths: string[]): void {
  if (isDeepStrictEqual(before, after)) return;
  const bothAre = (test: (value: unknown) => boolean) => test(before) && test(after);
  if (bothAre(Array.isArray)) {
    const [old, young] = [before as unknown[], after as unknown[]];
    if (old.length === young.length) {
      for (const [at, each] of old.entries()) differences(each, young[at], `${path}[${at}]`, paths);
      return;
    }
  } else if (
    bothAre((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
  ) {
    const [old, young] = [before as Record<string, unknown>, after as Record<string, unknown>];
    for (const name of new Set([...Object.keys(old), ...Object.keys(young)]))
      differences(old[name], young[name], path === '' ? name : `${path}.${name}`, paths);
    return;
  }
  paths.push(path);
}

/** Ready endpoints by service. */
class EndpointCounts {
  readonly #ready = new Map<string, number>();

  read(events: readonly CollectionEvent<LabeledWorkload>[]): Told[] {
    const before = new Map<string, number>();
    const add = (labeled: LabeledWorkload | undefined, by: number) => {
      if (labeled?.workload.healthy !== true) return;
      for (const key of labeled.workload.services.keys()) {
        const count = this.#ready.get(key) ?? 0;
        if (!before.has(key)) before.set(key, count);
        if (count + by === 0) this.#ready.delete(key);
        else this.#ready.set(key, count + by);
      }
    };
    for (const { value, previous } of events) {
      add(previous, -1);
      add(value, 1);
    }
    return [...before].flatMap(([key, count]): Told[] => {
      const now = this.#ready.get(key) ?? 0;
      if (now === count) return [];
      const [namespace, host = ''] = key.split('/');
      const name = host.endsWith(`.${namespace}.svc.cluster.local`) ? host.split('.', 1)[0] : host;
      return [
        {
          kind: 'endpoints',
          resource: `Service ${namespace}/${name}`,
          change: 'changed',
          summary: `${count} → ${now} endpoints`,
          before: '',
          after: '',
        },
      ];
    });
  }
}

interface Known {
  readonly kind: string;
  /** Pods by the template they were made from, and what that runs. */
  readonly templates: Map<string, { readonly pods: Set<string>; readonly images: string }>;
}

/** A workload whose pods are made from another template was deployed anew. */
class Deployments {
  readonly #known = new Map<string, Known>();

  read(events: readonly CollectionEvent<Pod>[]): Told[] {
    const changes: Told[] = [];
    for (const { key, value, previous } of events) {
      const pod = value ?? previous;
      const template = pod && templateOf(pod);
      if (pod === undefined || template === undefined) continue;
      const name = `${namespaceOf(pod)}/${ownerName(pod)}`;
      const change =
        value === undefined
          ? this.#gone(name, template, key)
          : this.#seen(name, template, { key, pod });
      if (change !== undefined) changes.push(change);
    }
    return changes;
  }

  #seen(name: string, template: string, { key, pod }: { key: string; pod: Pod }): Told | undefined {
    const known = this.#known.get(name);
    const same = known?.templates.get(template);
    if (same !== undefined) {
      same.pods.add(key);
      return undefined;
    }
    const images = imagesOf(pod);
    const kind = ownerKind(pod);
    const fresh = { pods: new Set([key]), images };
    if (known === undefined) {
      this.#known.set(name, { kind, templates: new Map([[template, fresh]]) });
      return deployment(kind, name, 'added', images);
    }
    const before = [...known.templates.values()].at(-1)?.images ?? '';
    known.templates.set(template, fresh);
    return deployment(
      kind,
      name,
      'changed',
      before === images ? 'another template of the same images' : `${before} → ${images}`,
    );
  }

  #gone(name: string, template: string, key: string): Told | undefined {
    const known = this.#known.get(name);
    const same = known?.templates.get(template);
    if (known === undefined || same === undefined) return undefined;
    same.pods.delete(key);
    if (same.pods.size === 0) known.templates.delete(template);
    if (known.templates.size > 0) return undefined;
    this.#known.delete(name);
    return deployment(known.kind, name, 'removed', same.images);
  }
}

function deployment(
  kind: string,
  name: string,
  change: MeshChange['change'],
  summary: string,
): Told {
  return {
    kind: 'deployment',
    resource: `${kind} ${name}`,
    change,
    summary,
    before: '',
    after: '',
  };
}

/** Undefined: made by hand, or by what makes every pod anew (Jobs). */
function templateOf({ metadata }: Pod): string | undefined {
  const { labels = {}, ownerReferences } = metadata;
  if (
    !ownerReferences?.some(
      ({ controller, kind }) => controller === true && kind !== 'Job' && kind !== 'Node',
    )
  )
    return undefined;
  return labels['pod-template-hash'] ?? labels['controller-revision-hash'];
}

function imagesOf({ spec }: Pod): string {
  return spec.containers.map(({ image }) => image).join(', ');
}
