/**
 * The key of sessions, in a Secret that all replicas read: made by whoever needs it first. Deleting the Secret and restarting the control
 * plane ends all sessions.
 */
import { isMeshError } from '#base/errors.ts';
import type { Random } from '#base/random.ts';
import type { Secret } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { Problem } from '../problem.ts';
import { SESSION_KEY_BYTES } from './session.ts';

export const SESSION_SECRET = 'tulle-console-session';
const FIELD = 'key';

export class SessionKey {
  readonly #deps: { readonly kube: KubeClient; readonly random: Random };
  readonly #namespace: string;
  #known: Promise<Uint8Array> | undefined;

  constructor(deps: { kube: KubeClient; random: Random }, namespace: string) {
    this.#deps = deps;
    this.#namespace = namespace;
  }

  /** Rejects with CONSOLE_UNAVAILABLE while the API server is away; the next one tries again. */
  get(): Promise<Uint8Array> {
    this.#known ??= this.#load().catch((error: unknown) => {
      this.#known = undefined;
      throw new Problem(
        'CONSOLE_UNAVAILABLE',
        'the key of sessions cannot be read from the cluster',
        { cause: error },
      );
    });
    return this.#known;
  }

  async #load(): Promise<Uint8Array> {
    const key = { namespace: this.#namespace, name: SESSION_SECRET };
    const found = await this.#find(key);
    if (found !== undefined) return found;
    const fresh = Buffer.from(this.#deps.random.bytes(SESSION_KEY_BYTES)).toString('base64');
    const secret: Secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: key,
      type: 'Opaque',
      data: { [FIELD]: fresh },
    };
    try {
      await this.#deps.kube.create<Secret>(RESOURCES.secrets, secret);
    } catch (error) {
      // Another replica was first: its key is the one.
      if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
    }
    return (await this.#find(key)) ?? Buffer.from(fresh, 'base64');
  }

  async #find(key: { namespace: string; name: string }): Promise<Uint8Array | undefined> {
    try {
      const { data } = await this.#deps.kube.get<Secret>(RESOURCES.secrets, key);
      const bytes = Buffer.from(data?.[FIELD] ?? '', 'base64');
      if (bytes.length === SESSION_KEY_BYTES) return bytes;
      throw new Problem(
        'CONSOLE_UNAVAILABLE',
        `Secret ${key.namespace}/${key.name} holds no key of ${SESSION_KEY_BYTES} bytes`,
        {
          hint: `kubectl -n ${key.namespace} delete secret ${key.name}: it is made anew`,
        },
      );
    } catch (error) {
      if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
      throw error;
    }
  }
}
