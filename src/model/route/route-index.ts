/**
 * Finds the first of many match entries that takes a request without trying them all. Entries are kept where a request that they
 * could take will look: by exact path (a hash), by the literal beginning of the path (a radix tree), or in the rest. Each such
 * place is a bucket, split again by a field that must have one exact value (a header, the authority, a query parameter, the
 * method). Every place knows the order of its first entry, and is passed over when something earlier is found already: the
 * answer is always that of trying all entries in order, which `match.property.test.ts` holds it to.
 */
import type { RouteEntry } from './compile.ts';
import { matchesEntry } from './match-entry.ts';
import { buildPrefixTree, type PrefixNode } from './prefix-tree.ts';
import { regexLiteralPrefix } from './regex-prefix.ts';
import { fieldOf, queryValue, type RequestView } from './request-view.ts';
import type { RouteMatch } from './route-table.ts';

/** Buckets up to this size are tried one by one: a hash look-up costs about as much as a few failing comparisons. */
const LINEAR_MAX = 4;

const NO_REQUEST: RequestView = {
  method: '',
  scheme: '',
  authority: '',
  path: '',
  getAll: () => undefined,
};

interface Bucket {
  /** Order of its first entry. */
  readonly first: number;
  /** In order. */
  readonly entries: readonly RouteEntry[];
  readonly splits: readonly Split[];
}

/** Entries that demand one exact value each of the same field. */
interface Split {
  readonly first: number;
  readonly field: Field;
  readonly buckets: ReadonlyMap<string, Bucket>;
}

interface Field {
  readonly kind: 'header' | 'query' | 'authority' | 'method';
  readonly name: string;
}

interface Placed {
  readonly entry: RouteEntry;
  readonly match: RouteMatch;
}

export class RouteIndex {
  readonly #exact: ReadonlyMap<string, Bucket>;
  /** Keys in lower case; undefined when no entry ignores case. */
  readonly #exactAnyCase: ReadonlyMap<string, Bucket> | undefined;
  readonly #prefixes: PrefixNode<Bucket>;
  readonly #prefixesAnyCase: PrefixNode<Bucket> | undefined;
  // The request in hand: fields instead of arguments, so that a search allocates nothing. Set for the time of `find` only.
  #request: RequestView = NO_REQUEST;
  #path = '';
  #queryStart = -1;
  #best: RouteEntry | undefined;

  /** `matches` are the conditions of `entries`, one for one. */
  constructor(entries: readonly RouteEntry[], matches: readonly RouteMatch[]) {
    const exact = new Map<string, Placed[]>();
    const exactAnyCase = new Map<string, Placed[]>();
    const prefixes = new Map<string, Placed[]>();
    const prefixesAnyCase = new Map<string, Placed[]>();
    entries.forEach((entry, index) => {
      const match = matches[index];
      const { path, ignorePathCase = false } = match;
      const placed = { entry, match };
      if (path?.kind === 'exact') {
        if (ignorePathCase) push(exactAnyCase, path.value.toLowerCase(), placed);
        else push(exact, path.value, placed);
      } else if (path?.kind === 'prefix' || path?.kind === 'path-prefix') {
        const value = path.kind === 'prefix' ? path.value : path.value.replace(/\/+$/, '');
        if (ignorePathCase) push(prefixesAnyCase, value.toLowerCase(), placed);
        else push(prefixes, value, placed);
      } else push(prefixes, path?.kind === 'regex' ? regexLiteralPrefix(path.value) : '', placed);
    });
    this.#exact = bucketsOf(exact);
    this.#exactAnyCase = exactAnyCase.size === 0 ? undefined : bucketsOf(exactAnyCase);
    this.#prefixes = buildPrefixTree(bucketsOf(prefixes));
    this.#prefixesAnyCase =
      prefixesAnyCase.size === 0 ? undefined : buildPrefixTree(bucketsOf(prefixesAnyCase));
  }

  /** The first entry that takes the request. */
  find(request: RequestView): RouteEntry | undefined {
    this.#request = request;
    this.#queryStart = request.path.indexOf('?');
    const path = this.#queryStart === -1 ? request.path : request.path.slice(0, this.#queryStart);
    this.#path = path;
    this.#best = undefined;
    const exact = this.#exact.size === 0 ? undefined : this.#exact.get(path);
    if (exact !== undefined) this.#searchBucket(exact);
    this.#searchTree(this.#prefixes, path);
    if (this.#exactAnyCase !== undefined || this.#prefixesAnyCase !== undefined) {
      const lower = path.toLowerCase();
      const anyCase = this.#exactAnyCase?.get(lower);
      if (anyCase !== undefined) this.#searchBucket(anyCase);
      if (this.#prefixesAnyCase !== undefined) this.#searchTree(this.#prefixesAnyCase, lower);
    }
    const best = this.#best;
    this.#request = NO_REQUEST;
    this.#best = undefined;
    return best;
  }

  /** `key` is the path as the tree spells it. */
  #searchTree(root: PrefixNode<Bucket>, key: string): void {
    let node = root;
    let at = 0;
    walk: for (;;) {
      if (node.value !== undefined) this.#searchBucket(node.value);
      const { children } = node;
      const slot = key.charCodeAt(at) - node.firstCode;
      // Not a number at the end of the key, so written the way that is false then.
      if (!(slot >= 0 && slot < children.length)) return;
      const child = children[slot];
      if (child === undefined) return;
      const { label } = child;
      at += 1;
      for (let index = 1; index < label.length; index += 1, at += 1) {
        if (label.charCodeAt(index) !== key.charCodeAt(at)) break walk;
      }
      node = child;
    }
  }

  #searchBucket(bucket: Bucket): void {
    let limit = this.#best === undefined ? Number.POSITIVE_INFINITY : this.#best.order;
    if (bucket.first >= limit) return;
    for (const entry of bucket.entries) {
      if (entry.order >= limit) break;
      if (!matchesEntry(entry, this.#request, this.#path, this.#queryStart)) continue;
      this.#best = entry;
      limit = entry.order;
      break;
    }
    for (const split of bucket.splits) {
      if (split.first >= limit) continue;
      const value = fieldValue(split.field, this.#request, this.#queryStart);
      const inner = value === undefined ? undefined : split.buckets.get(value);
      if (inner === undefined) continue;
      this.#searchBucket(inner);
      if (this.#best !== undefined) limit = this.#best.order;
    }
  }
}

function bucketsOf(lists: ReadonlyMap<string, readonly Placed[]>): Map<string, Bucket> {
  const buckets = new Map<string, Bucket>();
  for (const [key, list] of lists) buckets.set(key, buildBucket(list, []));
  return buckets;
}

/** `used` are the fields that the bucket is split by already. */
function buildBucket(list: readonly Placed[], used: readonly string[]): Bucket {
  const first = list[0].entry.order;
  if (list.length <= LINEAR_MAX)
    return { first, entries: list.map(({ entry }) => entry), splits: [] };
  const values = new Map<string, Set<string>>();
  for (const { match } of list) {
    for (const { key, value } of exactFields(match)) {
      const known = values.get(key) ?? new Set();
      values.set(key, known.add(value));
    }
  }
  const entries: RouteEntry[] = [];
  const fields = new Map<string, { field: Field; lists: Map<string, Placed[]> }>();
  for (const placed of list) {
    // The field with the most values leaves the smallest buckets. One value for all tells nothing apart.
    let best: ReturnType<typeof exactFields>[number] | undefined;
    let bestCount = 1;
    for (const candidate of exactFields(placed.match)) {
      const count = values.get(candidate.key)?.size ?? 0;
      if (used.includes(candidate.key) || count <= bestCount) continue;
      best = candidate;
      bestCount = count;
    }
    if (best === undefined) {
      entries.push(placed.entry);
      continue;
    }
    const split = fields.get(best.key) ?? { field: best.field, lists: new Map() };
    fields.set(best.key, split);
    push(split.lists, best.value, placed);
  }
  const splits = [...fields].map(([key, { field, lists }]): Split => {
    const buckets = new Map<string, Bucket>();
    let least = Number.POSITIVE_INFINITY;
    for (const [value, inner] of lists) {
      const bucket = buildBucket(inner, [...used, key]);
      buckets.set(value, bucket);
      least = Math.min(least, bucket.first);
    }
    return { first: least, field, buckets };
  });
  return { first, entries, splits };
}

/** The conditions that hold for one value only. */
function exactFields(match: RouteMatch): { key: string; field: Field; value: string }[] {
  const found: { key: string; field: Field; value: string }[] = [];
  const add = (kind: Field['kind'], name: string, condition: RouteMatch['path']) => {
    if (condition?.kind !== 'exact') return;
    found.push({ key: `${kind} ${name}`, field: { kind, name }, value: condition.value });
  };
  for (const { name, match: condition } of match.headers) add('header', name, condition);
  for (const { name, match: condition } of match.queryParams) add('query', name, condition);
  add('authority', '', match.authority);
  add('method', '', match.method);
  return found;
}

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function fieldValue(field: Field, request: RequestView, queryStart: number): string | undefined {
  switch (field.kind) {
    case 'header':
      return fieldOf(field.name, request);
    case 'query':
      return queryStart === -1 ? undefined : queryValue(request.path, queryStart + 1, field.name);
    case 'authority':
      return request.authority;
    case 'method':
      return request.method;
  }
}
