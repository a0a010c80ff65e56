/**
 * A radix tree over strings: which of many prefixes a text begins with is found in one walk along the text, however many there
 * are. Built once, then only read; the walk is the reader's own loop over `PrefixNode`, so that nothing is allocated for it.
 *
 *   ''── '/api' ─┬─ '/orders'        '/api/orders/7' passes '', '/api', '/api/orders'
 *                └─ '/users' ── '/me'
 */

export interface PrefixNode<T> {
  /** What the text must go on with to come here from the parent. Never empty but at the root. */
  readonly label: string;
  /** Undefined when no prefix ends here. */
  readonly value: T | undefined;
  /** At the first character code of their labels less `firstCode`: a read of an array costs a third of a hash look-up. */
  readonly children: readonly (PrefixNode<T> | undefined)[];
  readonly firstCode: number;
}

interface BuildNode<T> {
  label: string;
  value: T | undefined;
  children: Map<number, BuildNode<T>>;
}

/** The keys' values at the nodes where they end. */
export function buildPrefixTree<T>(values: Iterable<readonly [string, T]>): PrefixNode<T> {
  const root: BuildNode<T> = { label: '', value: undefined, children: new Map() };
  for (const [key, value] of values) nodeFor(root, key).value = value;
  return freeze(root);
}

function freeze<T>({ label, value, children }: BuildNode<T>): PrefixNode<T> {
  const codes = [...children.keys()];
  const firstCode = Math.min(...codes, 0xffff);
  const slots = new Array<PrefixNode<T> | undefined>(
    Math.max(0, ...codes.map((code) => code - firstCode + 1)),
  ).fill(undefined);
  for (const [code, child] of children) slots[code - firstCode] = freeze(child);
  return { label, value, children: slots, firstCode };
}

/** The node where `key` ends, made and cut out of longer labels as needed. */
function nodeFor<T>(root: BuildNode<T>, key: string): BuildNode<T> {
  let node = root;
  let at = 0;
  while (at < key.length) {
    const first = key.charCodeAt(at);
    const child = node.children.get(first);
    if (child === undefined) {
      const leaf = { label: key.slice(at), value: undefined, children: new Map() };
      node.children.set(first, leaf);
      return leaf;
    }
    const shared = sharedLength(child.label, key, at);
    if (shared < child.label.length) {
      const upper = { label: child.label.slice(0, shared), value: undefined, children: new Map() };
      node.children.set(first, upper);
      child.label = child.label.slice(shared);
      upper.children.set(child.label.charCodeAt(0), child);
      node = upper;
    } else node = child;
    at += shared;
  }
  return node;
}

function sharedLength(label: string, key: string, at: number): number {
  let length = 0;
  while (length < label.length && label.charCodeAt(length) === key.charCodeAt(at + length)) {
    length += 1;
  }
  return length;
}
