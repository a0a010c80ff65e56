/** `tulle get`: the server's tables, or the objects as JSON, YAML or names; -w follows changes. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { isMeshError } from '#base/errors.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { resourcePath } from '#kube/client/rest-client.ts';
import { type Cluster, clusterFor } from '../../cluster.ts';
import { AnswerIsNo, UsageError } from '../../output/report.ts';
import { formatTable } from '../../output/table.ts';
import { discover, resolveKinds, type ServedKind } from './discovery.ts';

export interface GetOptions {
  namespace?: string;
  allNamespaces?: boolean;
  selector?: string;
  output?: string;
  watch?: boolean;
  headers?: boolean;
}

interface Target {
  kind: ServedKind;
  name?: string;
}

interface TableAnswer {
  columnDefinitions: { name: string; priority?: number }[];
  rows?: { cells: unknown[]; object?: { metadata?: { name?: string; namespace?: string } } }[];
}

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

export async function get(words: string[], options: GetOptions, command: Command): Promise<void> {
  const cluster = clusterFor(command);
  const targets = targetsOf(words, await discover(cluster.client));
  let printed = 0;
  for (const target of targets) {
    const several = targets.length > 1;
    printed += await printTarget(cluster, target, options, { several, first: printed === 0 });
  }
  if (printed === 0 && options.output !== 'json' && options.output !== 'yaml') {
    const where = options.allNamespaces
      ? ''
      : ` in ${options.namespace ?? cluster.namespace} namespace`;
    process.stderr.write(`No resources found${where}.${await namespaceHint(cluster, options)}\n`);
  }
  if (options.watch) await follow(cluster, targets[0], options);
}

/** A namespace that is not there is a slip more often than an empty one. */
async function namespaceHint({ client }: Cluster, options: GetOptions): Promise<string> {
  const { namespace, allNamespaces } = options;
  if (namespace === undefined || allNamespaces) return '';
  try {
    await client.get(RESOURCES.namespaces, { name: namespace });
    return '';
  } catch (error) {
    // Who may not read namespaces is told no more than kubectl tells.
    return isMeshError(error, 'KUBE_NOT_FOUND')
      ? ` There is no such namespace: tulle get namespaces`
      : '';
  }
}

/** `pods`, `pods web-1 web-2`, `pod/web-1 svc/web`, `vs,dr`. */
export function targetsOf(words: readonly string[], served: readonly ServedKind[]): Target[] {
  if (words.length === 0) throw new UsageError('which kind? e.g. tulle get pods -A');
  if (words.some((word) => word.includes('/'))) {
    return words.map((word) => {
      const [kind, name] = word.split('/');
      if (!name) throw new UsageError(`${word}: expected KIND/NAME`);
      return { kind: resolveKinds(served, kind)[0], name };
    });
  }
  const [kinds, ...names] = words;
  const resolved = resolveKinds(served, kinds);
  if (names.length === 0) return resolved.map((kind) => ({ kind }));
  return resolved.flatMap((kind) => names.map((name) => ({ kind, name })));
}

function pathOf(cluster: Cluster, target: Target, options: GetOptions): string {
  const namespace =
    target.kind.namespaced && !options.allNamespaces
      ? (options.namespace ?? cluster.namespace)
      : undefined;
  const selector = options.selector ? `?labelSelector=${encodeURIComponent(options.selector)}` : '';
  return resourcePath(target.kind, { namespace, name: target.name }) + selector;
}

async function printTarget(
  cluster: Cluster,
  target: Target,
  options: GetOptions,
  place: { several: boolean; first: boolean },
): Promise<number> {
  const path = pathOf(cluster, target, options);
  if (options.output === 'json' || options.output === 'yaml' || options.output === 'name') {
    return printObjects(
      await (await cluster.client.open('GET', path, {})).json(),
      target,
      options.output,
    );
  }
  const response = await cluster.client.open('GET', path, { headers: { accept: TABLE } });
  const table = (await response.json()) as TableAnswer;
  const rows = table.rows ?? [];
  if (rows.length === 0) return 0;
  const wide = options.output === 'wide';
  const columns = table.columnDefinitions
    .map((column, index) => ({ ...column, index }))
    .filter((column) => wide || (column.priority ?? 0) === 0);
  const namespaced = options.allNamespaces && target.kind.namespaced;
  const header = [
    ...(namespaced ? ['NAMESPACE'] : []),
    ...columns.map((column) => column.name.toUpperCase()),
  ];
  const cells = rows.map((row) => {
    const texts = columns.map((column) => cellText(row.cells[column.index]));
    if (place.several && texts.length > 0) texts[0] = `${typeName(target.kind)}/${texts[0]}`;
    return [...(namespaced ? [row.object?.metadata?.namespace ?? ''] : []), ...texts];
  });
  process.stdout.write((place.first ? '' : '\n') + formatTable(header, cells));
  return rows.length;
}

/** As kubectl writes it: `pod`, `virtualservice.networking.istio.io`. */
export function typeName({ kind, group }: Pick<ServedKind, 'kind' | 'group'>): string {
  return `${kind.toLowerCase()}${group === '' ? '' : `.${group}`}`;
}

function cellText(cell: unknown): string {
  if (cell === null || cell === undefined || cell === '') return '<none>';
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
}

function printObjects(answer: unknown, target: Target, output: string): number {
  const body = answer as KubeObject & { items?: KubeObject[] };
  if (output === 'name') {
    for (const item of body.items ?? [body])
      process.stdout.write(`${typeName(target.kind)}/${item.metadata.name}\n`);
  } else {
    process.stdout.write(
      output === 'json' ? `${JSON.stringify(body, null, 2)}\n` : stringify(body),
    );
  }
  return body.items?.length ?? 1;
}

/** Prints a line a change until the server or the user ends it. */
async function follow(cluster: Cluster, target: Target, options: GetOptions): Promise<void> {
  const namespace =
    target.kind.namespaced && !options.allNamespaces
      ? (options.namespace ?? cluster.namespace)
      : undefined;
  const { resourceVersion } = await cluster.client.list(target.kind, {
    namespace,
    labelSelector: options.selector,
  });
  const fieldSelector = target.name === undefined ? undefined : `metadata.name=${target.name}`;
  await new Promise<void>((resolve, reject) => {
    cluster.client.watch(
      target.kind,
      { namespace, labelSelector: options.selector, fieldSelector, resourceVersion },
      (event) => {
        if (event.type === 'ERROR') return reject(new AnswerIsNo(event.object.message));
        const { metadata } = event.object;
        const name =
          metadata.namespace === undefined
            ? metadata.name
            : `${metadata.namespace}/${metadata.name}`;
        if (options.output === 'json') process.stdout.write(`${JSON.stringify(event)}\n`);
        else process.stdout.write(`${event.type.padEnd(9)} ${name}\n`);
      },
      (error) => (error === undefined ? resolve() : reject(error)),
    );
  });
}
