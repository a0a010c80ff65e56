/** Who reads, and what of the mesh that is. */

export interface Reader {
  /** Name at the API server; `guest` where nobody was asked. */
  readonly user: string;
  /** `guest`: came from where no log-in is asked for. */
  readonly kind: 'anonymous' | 'guest' | 'session' | 'bearer';
  /** Undefined: all of them. */
  readonly namespaces: ReadonlySet<string> | undefined;
  /** What is outside the mesh's own knowledge (logs, changes) is done with it. */
  readonly token: string | undefined;
  /** May change things with the control plane's own rights: the guest of a lab is its owner. */
  readonly isOwner: boolean;
  /** Of a session: what forged requests cannot know. */
  readonly sessionId: string;
}

export const ANONYMOUS: Reader = {
  user: '',
  kind: 'anonymous',
  namespaces: new Set(),
  token: undefined,
  isOwner: false,
  sessionId: '',
};

/** Empty: objects that have no namespace, and what is known of the outside; whoever reads at all sees them. */
export function sees({ namespaces }: Reader, namespace: string): boolean {
  return namespaces === undefined || namespace === '' || namespaces.has(namespace);
}

/** Of those that were asked for, the ones that the reader sees; undefined: all. */
export function visible(reader: Reader, asked: readonly string[]): ReadonlySet<string> | undefined {
  if (asked.length === 0) return reader.namespaces;
  return new Set(asked.filter((namespace) => sees(reader, namespace)));
}
