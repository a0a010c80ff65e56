/**
 * Asks the API server who a token is (TokenReview) and what that user may (SubjectAccessReview). Verdicts are believed for a short time;
 * what cannot be asked is not allowed.
 */
import type { Clock } from '#base/clock.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { REVIEWED_NAMESPACES_MAX, REVIEWS_AT_ONCE, VERDICT_MS, VERDICTS_MAX } from '../limits.ts';
import { Problem } from '../problem.ts';

export interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface Right {
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'patch';
  readonly ref: Pick<ResourceRef, 'group' | 'resource'>;
  /** Undefined: in all of them. */
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

interface TokenReview extends KubeObject {
  spec: { token: string };
  status?: { authenticated?: boolean; error?: string; user?: User };
}

interface AccessReview extends KubeObject {
  spec: object;
  status?: { allowed?: boolean; reason?: string };
}

export class Reviews {
  readonly #kube: KubeClient;
  readonly #clock: Clock;
  readonly #users = new Remembered<User | string>();
  readonly #rights = new Remembered<boolean>();
  readonly #namespaces = new Remembered<ReadonlySet<string> | undefined>();

  constructor(deps: { kube: KubeClient; clock: Clock }) {
    this.#kube = deps.kube;
    this.#clock = deps.clock;
  }

  /** Whose token it is, or why nobody's. */
  user(token: string): Promise<User | string> {
    const key = new Bun.CryptoHasher('sha256').update(token).digest('base64');
    return this.#users.get(key, this.#clock.now(), async () => {
      const review = await this.#kube.create<TokenReview>(RESOURCES.tokenReviews, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        metadata: { name: '' },
        spec: { token },
      });
      const { authenticated, error, user } = review.status ?? {};
      if (authenticated === true && user?.username) return user;
      return error || 'the API server does not know it';
    });
  }

  may(user: User, right: Right): Promise<boolean> {
    const { verb, ref, namespace, name, subresource } = right;
    const key = JSON.stringify([
      identityKey(user),
      verb,
      ref.group,
      ref.resource,
      subresource,
      namespace,
      name,
    ]);
    return this.#rights.get(key, this.#clock.now(), async () => {
      const { username, uid, groups, extra } = user;
      const review = await this.#kube.create<AccessReview>(RESOURCES.subjectAccessReviews, {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        metadata: { name: '' },
        spec: {
          user: username,
          uid,
          groups,
          extra,
          resourceAttributes: {
            verb,
            group: ref.group,
            resource: ref.resource,
            subresource,
            namespace,
            name,
          },
        },
      });
      return review.status?.allowed === true;
    });
  }

  /** Those in which the user may list pods; undefined: all. */
  namespaces(user: User, all: readonly string[]): Promise<ReadonlySet<string> | undefined> {
    const key = JSON.stringify([identityKey(user), all]);
    return this.#namespaces.get(key, this.#clock.now(), async () => {
      const right = { verb: 'list', ref: RESOURCES.pods } as const;
      if (await this.may(user, right)) return undefined;
      const asked = all.slice(0, REVIEWED_NAMESPACES_MAX);
      const allowed = await eachOf(asked, (namespace) => this.may(user, { ...right, namespace }));
      return new Set(asked.filter((_, at) => allowed[at]));
    });
  }
}

/** In order, some at a time. */
export async function eachOf<T, R>(
  items: readonly T[],
  ask: (item: T) => Promise<R>,
): Promise<R[]> {
  const answers: R[] = [];
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const at = next++;
      answers[at] = await ask(items[at]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(REVIEWS_AT_ONCE, items.length) }, work));
  return answers;
}

function identityKey({ username, uid = '', groups = [], extra = {} }: User): string {
  return JSON.stringify([username, uid, groups, extra]);
}

/** Answers that are believed for VERDICT_MS; two who ask at once wait for one question. */
class Remembered<T> {
  readonly #known = new Map<string, { readonly atMs: number; readonly answer: Promise<T> }>();

  get(key: string, nowMs: number, ask: () => Promise<T>): Promise<T> {
    const known = this.#known.get(key);
    if (known !== undefined && nowMs - known.atMs < VERDICT_MS) return known.answer;
    this.#known.delete(key);
    const answer = ask().catch((error: unknown) => {
      // A question without an answer is no verdict: the next one asks again.
      this.#known.delete(key);
      throw new Problem(
        'CONSOLE_UNAVAILABLE',
        'the API server does not say what the reader may see',
        { cause: error },
      );
    });
    this.#known.set(key, { atMs: nowMs, answer });
    if (this.#known.size > VERDICTS_MAX) {
      const first = this.#known.keys().next();
      if (first.done !== true) this.#known.delete(first.value);
    }
    return answer;
  }
}
