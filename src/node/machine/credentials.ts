/**
 * What the machine proves itself with: a token of its service account for the control plane, and the roots that it trusts. Both
 * are files, since that is where the connections to the control plane read them anew; renewed long before they run out.
 */
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '#base/clock.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { MACHINE_ERRORS } from './errors.ts';
import {
  CREDENTIALS_RETRY_MS,
  ROOTS_PERIOD_MS,
  TOKEN_RENEW_FRACTION,
  TOKEN_SECONDS,
} from './limits.ts';

export const TOKEN_AUDIENCE = 'istio-ca';
export const ROOT_CONFIG_MAP = 'istio-ca-root-cert';
const ROOT_KEY = 'root-cert.pem';

interface TokenRequest extends KubeObject {
  spec: { audiences: string[]; expirationSeconds: number };
  status?: { token: string; expirationTimestamp: string };
}

interface RootConfigMap extends KubeObject {
  data?: Record<string, string>;
}

export interface CredentialsDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface CredentialsOptions {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Made with mode 0700. */
  readonly directory: string;
}

export class Credentials {
  readonly tokenFile: string;
  readonly rootFile: string;
  readonly #deps: CredentialsDeps;
  readonly #options: CredentialsOptions;
  #timers: Timer[] = [];
  #stopped = false;

  private constructor(deps: CredentialsDeps, options: CredentialsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.tokenFile = join(options.directory, 'token');
    this.rootFile = join(options.directory, ROOT_KEY);
  }

  /** Rejects when either cannot be had: nothing works without them. */
  static async obtain(deps: CredentialsDeps, options: CredentialsOptions): Promise<Credentials> {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    chmodSync(options.directory, 0o700);
    const credentials = new Credentials(deps, options);
    await credentials.#fetchRoots();
    const lifeMs = await credentials.#fetchToken();
    credentials.#renewToken(lifeMs * TOKEN_RENEW_FRACTION);
    credentials.#renewRoots(ROOTS_PERIOD_MS);
    return credentials;
  }

  /** Nothing of it stays on the disk. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    rmSync(this.tokenFile, { force: true });
    rmSync(this.rootFile, { force: true });
  }

  #renewToken(delayMs: number): void {
    this.#later(0, delayMs, async () => {
      const lifeMs = await this.#fetchToken();
      return lifeMs * TOKEN_RENEW_FRACTION;
    });
  }

  #renewRoots(delayMs: number): void {
    this.#later(1, delayMs, async () => {
      await this.#fetchRoots();
      return ROOTS_PERIOD_MS;
    });
  }

  #later(slot: number, delayMs: number, work: () => Promise<number>): void {
    const { clock, log } = this.#deps;
    this.#timers[slot] = clock.after(delayMs, () => {
      void work().then(
        (next) => this.#later(slot, next, work),
        (error: unknown) => {
          const what = slot === 0 ? 'token' : 'root certificates';
          log.warn(`cannot renew the ${what}, those at hand stay in use`, {
            error: messageOf(error),
            retryMs: CREDENTIALS_RETRY_MS,
          });
          if (!this.#stopped) this.#later(slot, CREDENTIALS_RETRY_MS, work);
        },
      );
    });
    if (this.#stopped) this.#timers[slot].cancel();
  }

  /** How long the new token lives, in milliseconds. */
  async #fetchToken(): Promise<number> {
    const { client, clock } = this.#deps;
    const { namespace, serviceAccount: name } = this.#options;
    const request: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name, namespace },
      spec: { audiences: [TOKEN_AUDIENCE], expirationSeconds: TOKEN_SECONDS },
    };
    const answer = await client.create(RESOURCES.serviceAccounts, request, {
      subresource: 'token',
    });
    const { token = '', expirationTimestamp = '' } = answer.status ?? {};
    this.#write(this.tokenFile, token);
    const untilMs = Date.parse(expirationTimestamp) - clock.wallTime();
    return untilMs > 0 ? untilMs : CREDENTIALS_RETRY_MS;
  }

  async #fetchRoots(): Promise<void> {
    const { client } = this.#deps;
    const { namespace } = this.#options;
    const roots = await client
      .get<RootConfigMap>(RESOURCES.configMaps, { namespace, name: ROOT_CONFIG_MAP })
      .catch((error: unknown) => {
        if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
        throw error;
      });
    const pem = roots?.data?.[ROOT_KEY];
    if (pem === undefined || pem === '') {
      const message = `ConfigMap ${namespace}/${ROOT_CONFIG_MAP} has no ${ROOT_KEY}`;
      const hint = MACHINE_ERRORS.JOIN_NO_ROOT;
      throw new MeshError('JOIN_NO_ROOT', message, { side: 'config', hint });
    }
    this.#write(this.rootFile, pem);
  }

  /** Whole or not at all: it may be read at any time. */
  #write(path: string, text: string): void {
    if (this.#stopped) return;
    const draft = `${path}.new`;
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, path);
  }
}
