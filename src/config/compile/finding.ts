/**
 * What a compile has to say about the user's resources. Never thrown: all findings of an object come at once. An
 * object with an `error` finding is not taken over; its last good form stays in force.
 */

export const FINDING = {
  /** A value that Istio's validation refuses (istioctl analyze: SchemaValidationError). */
  invalid: 'IST0106',
  /** A host, subset or port that does not exist. */
  missing: 'IST0101',
  /** Two VirtualServices for one host: the older one is in force. */
  conflict: 'IST0109',
  /** A rule that nothing reaches, and a match that an earlier one takes all of. */
  unreachable: 'IST0130',
  shadowed: 'IST0131',
  /** In force, and to be written in another way. */
  deprecated: 'IST0002',
  /** Accepted by the API, but nothing acts on it. */
  ineffective: 'TULLE0001',
} as const;

export interface Finding {
  readonly code: (typeof FINDING)[keyof typeof FINDING];
  readonly level: 'error' | 'warning' | 'info';
  /** `VirtualService shop/product-service`. */
  readonly resource: string;
  /** `spec.http[0].timeout`. */
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

/** What became of one object. */
export interface Compiled<T> {
  /** Undefined when there is an error among the findings. */
  readonly value: T | undefined;
  readonly findings: readonly Finding[];
}

/** Collects the findings of one object. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #resource: string;

  constructor(kind: string, object: { namespace: string; name: string }) {
    this.#resource = `${kind} ${object.namespace}/${object.name}`;
  }

  get failed(): boolean {
    return this.list.some((finding) => finding.level === 'error');
  }

  invalid(path: string, message: string, hint = 'correct the field and apply again'): void {
    this.#add('invalid', 'error', { path, message, hint });
  }

  /** `problem` as `invalid` says it; nothing when there is none. */
  check(path: string, problem: string | undefined): void {
    if (problem !== undefined) this.invalid(path, problem);
  }

  deprecated(path: string, instead: string): void {
    const message = `${path.slice(path.lastIndexOf('.') + 1)} is deprecated`;
    this.#add('deprecated', 'warning', { path, message, hint: `use ${instead}` });
  }

  unreachable(path: string, message: string): void {
    const hint = 'put it before the rule that takes everything, or delete it';
    this.#add('unreachable', 'warning', { path, message, hint });
  }

  shadowed(path: string, message: string): void {
    const hint = 'put the narrower match first, or delete it';
    this.#add('shadowed', 'info', { path, message, hint });
  }

  missing(path: string, message: string, hint: string): void {
    this.#add('missing', 'warning', { path, message, hint });
  }

  conflict(path: string, message: string, hint: string): void {
    this.#add('conflict', 'warning', { path, message, hint });
  }

  ineffective(
    path: string,
    message: string,
    {
      level = 'warning',
      hint = 'remove the field, or do not rely on it',
    }: { level?: Finding['level']; hint?: string } = {},
  ): void {
    this.#add('ineffective', level, { path, message, hint });
  }

  #add(
    code: keyof typeof FINDING,
    level: Finding['level'],
    text: { path: string; message: string; hint: string },
  ): void {
    this.list.push({ code: FINDING[code], level, resource: this.#resource, ...text });
  }
}
