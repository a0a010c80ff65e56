/**
 * What the machine proves itself with: a token of its service account for the control plane, the roots that it trusts, and the lists
 * of who is trusted no more, where there are some. They are files, since that is where they are read anew; renewed long before they run out.
 */
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '#base/clock.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { CRL_KEY, CRL_NAME } from '#identity/trust/crl-map.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { MACHINE_ERRORS } from './errors.ts';
import {
  CREDENTIALS_RETRY_MS,
  CRL_PERIOD_MS,
  ROOTS_PERIOD_MS,
  TOKEN_RENEW_FRACTION,
  TOKEN_SECONDS,
} from './limits.ts';

export const TOKEN_AUDIENCE = 'istio-ca';
export const ROOT_CONFIG_MAP = 'istio-ca-root-cert';
const ROOT_KEY = 'root-cert.pem';
/** What is renewed, by the place of its timer. */
const SLOTS = ['token', 'root certificates', 'revocation lists'];

interface TokenRequest extends KubeObject {
  spec: { audiences: string[]; expirationSeconds: number };
  status?: { token: string; expirationTimestamp: string };
}

interface ConfigMap extends KubeObject {
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
  /** Revocation lists; there need not be one. */
  readonly crlFile: string;
  readonly #deps: CredentialsDeps;
  readonly #options: CredentialsOptions;
  #timers: Timer[] = [];
  #stopped = false;

  private constructor(deps: CredentialsDeps, options: CredentialsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.tokenFile = join(options.directory, 'token');
    this.rootFile = join(options.directory, ROOT_KEY);
    this.crlFile = join(options.directory, CRL_KEY);
  }

  /** Rejects when token or roots cannot be had: nothing works without them. */
  static async obtain(deps: CredentialsDeps, options: CredentialsOptions): Promise<Credentials> {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    chmodSync(options.directory, 0o700);
    const credentials = new Credentials(deps, options);
    await credentials.#fetchRoots();
    const lifeMs = await credentials.#fetchToken();
    credentials.#renewToken(lifeMs * TOKEN_RENEW_FRACTION);
    credentials.#renewRoots(ROOTS_PERIOD_MS);
    await credentials.#startLists();
    return credentials;
  }

  /** Nothing of it stays on the disk. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    rmSync(this.tokenFile, { force: true });
    rmSync(this.rootFile, { force: true });
    rmSync(this.crlFile, { force: true });
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

  /** A machine that may not read them goes on without, as all did before there were any. */
  async #startLists(): Promise<void> {
    try {
      await this.#fetchLists();
    } catch (error) {
      const { log } = this.#deps;
      log.warn('revocation lists are not followed', { map: CRL_NAME, error: messageOf(error) });
      if (isMeshError(error, 'KUBE_FORBIDDEN')) return;
    }
    this.#later(2, CRL_PERIOD_MS, async () => {
      await this.#fetchLists();
      return CRL_PERIOD_MS;
    });
  }

  #later(slot: number, delayMs: number, work: () => Promise<number>): void {
    const { clock, log } = this.#deps;
    this.#timers[slot] = clock.after(delayMs, () => {
      void work().then(
        (next) => this.#later(slot, next, work),
        (error: unknown) => {
          log.warn(`cannot renew the ${SLOTS[slot]}, those at hand stay in use`, {
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
    const { namespace } = this.#options;
    const pem = await this.#mapped(ROOT_CONFIG_MAP, ROOT_KEY);
    if (pem === undefined || pem === '') {
      const message = `ConfigMap ${namespace}/${ROOT_CONFIG_MAP} has no ${ROOT_KEY}`;
      const hint = MACHINE_ERRORS.JOIN_NO_ROOT;
      throw new MeshError('JOIN_NO_ROOT', message, { side: 'config', hint });
    }
    this.#write(this.rootFile, pem);
  }

  /** Where the map is gone, the lists at hand stay in force. */
  async #fetchLists(): Promise<void> {
    const lists = await this.#mapped(CRL_NAME, CRL_KEY);
    if (lists !== undefined) this.#write(this.crlFile, lists);
  }

  async #mapped(name: string, key: string): Promise<string | undefined> {
    const { namespace } = this.#options;
    try {
      const map = await this.#deps.client.get<ConfigMap>(RESOURCES.configMaps, { namespace, name });
      return map.data?.[key];
    } catch (error) {
      if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Whole or not at all: it may be read at any time. */
  #write(path: string, text: string): void {
    if (this.#stopped) return;
    const draft = `${path}.new`;
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, path);
  }
}
