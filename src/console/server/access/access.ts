/**
 * The gate of the console: who asks, from where, and whether that may be. Peers that are named as open (loopback, where the API server's port
 * forwarding ends; the relay of a lab) read without a log-in; everybody else shows a token that the API server knows, and sees the namespaces
 * whose pods that user may list.
 */
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import type { SessionAnswer } from '../../api/mesh.ts';
import { LOGINS_PER_MINUTE, SESSION_SECONDS } from '../limits.ts';
import { Problem } from '../problem.ts';
import { ClientRates } from '../rate.ts';
import { originProblem } from './origin.ts';
import { ANONYMOUS, type Reader } from './reader.ts';
import { Reviews, type Right, type User } from './reviews.ts';
import {
  cookieOf,
  csrfToken,
  isSameText,
  newSessionId,
  openSession,
  sealSession,
  setCookie,
} from './session.ts';
import { SessionKey } from './session-key.ts';

export interface AccessOptions {
  /** Addresses that need no log-in; `loopback` is all of them. A unix socket's owner is one. */
  readonly openTo: readonly string[];
  /** What those may do who come from there without a token. */
  readonly guests: 'read' | 'write';
  /** Nobody changes anything here. */
  readonly isReadOnly: boolean;
  /** Host names that it is served under, besides addresses and localhost. */
  readonly hosts: readonly string[];
  /** Where the key of sessions is kept. */
  readonly namespace: string;
}

export interface AccessDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly kube: KubeClient;
  /** All that there are. */
  readonly namespaces: () => readonly string[];
}

/** Undefined: a unix socket. */
export type PeerAddress = string | undefined;

export class Access {
  readonly options: AccessOptions;
  readonly #deps: AccessDeps;
  readonly #reviews: Reviews;
  readonly #key: SessionKey;
  readonly #logins = new ClientRates({
    perSecond: LOGINS_PER_MINUTE / 60,
    burst: LOGINS_PER_MINUTE,
  });
  /** Guards the requests of guests while the key of sessions cannot be read. */
  readonly #ownKey: Uint8Array;
  #sharedKey: Uint8Array | undefined;

  constructor(deps: AccessDeps, options: AccessOptions) {
    this.#deps = deps;
    this.options = options;
    this.#reviews = new Reviews(deps);
    this.#key = new SessionKey(deps, options.namespace);
    this.#ownKey = deps.random.bytes(32);
  }

  /** Throws CONSOLE_FOREIGN_ORIGIN. A link from a chat is followed from another site: it may bring up the page, which then asks by itself. */
  checkOrigin({ headers }: Request, { isPage }: { isPage: boolean }): void {
    const fetchSite = isPage ? null : headers.get('sec-fetch-site');
    const facts = { host: headers.get('host'), origin: headers.get('origin'), fetchSite };
    const problem = originProblem(facts, this.options.hosts);
    if (problem !== undefined) throw new Problem('CONSOLE_FOREIGN_ORIGIN', problem);
  }

  /** Throws CONSOLE_TOKEN_REFUSED for a token that is no more; a session that is over is anonymous. */
  async reader(request: Request, peer: PeerAddress): Promise<Reader> {
    const bearer = /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    if (bearer !== undefined) {
      const user = await this.#reviews.user(bearer);
      if (typeof user === 'string')
        throw new Problem('CONSOLE_TOKEN_REFUSED', `the token is refused: ${user}`);
      return this.#known(user, { kind: 'bearer', token: bearer, sessionId: '' });
    }
    const cookie = cookieOf(request);
    const session =
      cookie && openSession(cookie, await this.#key.get(), this.#deps.clock.wallTime());
    if (session) {
      const user = await this.#reviews.user(session.token);
      if (typeof user !== 'string')
        return this.#known(user, { kind: 'session', token: session.token, sessionId: session.id });
    }
    if (!this.isOpenTo(peer)) return ANONYMOUS;
    const isOwner = this.options.guests === 'write';
    return {
      user: 'guest',
      kind: 'guest',
      namespaces: undefined,
      token: undefined,
      isOwner,
      sessionId: '',
    };
  }

  isOpenTo(peer: PeerAddress): boolean {
    const { openTo } = this.options;
    if (peer === undefined) return openTo.length > 0;
    const plain = peer.replace(/^::ffff:/, '');
    const isLoopback = plain === '::1' || plain.startsWith('127.');
    return (isLoopback && openTo.includes('loopback')) || openTo.includes(plain);
  }

  async csrfToken(reader: Reader): Promise<string> {
    return csrfToken(reader.sessionId, await this.#csrfKey(reader));
  }

  /** A token in a header is sent by nobody's browser on its own: those need no other proof. */
  async checkCsrf(reader: Reader, request: Request): Promise<void> {
    if (reader.kind === 'bearer') return;
    const given = request.headers.get('x-tulle-csrf') ?? '';
    if (isSameText(given, await this.csrfToken(reader))) return;
    throw new Problem(
      'CONSOLE_NO_CSRF',
      given === '' ? 'x-tulle-csrf is missing' : 'x-tulle-csrf is not of this session',
    );
  }

  async session(reader: Reader): Promise<SessionAnswer> {
    const isAuthenticated = reader.kind !== 'anonymous';
    const { namespaces } = reader;
    return {
      isAuthenticated,
      needsToken: !isAuthenticated,
      user: reader.user,
      namespaces: namespaces === undefined ? ['*'] : [...namespaces].sort(),
      isReadOnly: this.options.isReadOnly || !mayWrite(reader),
      csrfToken: await this.csrfToken(reader),
    };
  }

  /** The session's reader, and the cookie to set. */
  async login(
    token: string,
    from: { client: string; isSecure: boolean },
  ): Promise<{ reader: Reader; cookie: string }> {
    const { clock, random } = this.#deps;
    const wait = this.#logins.take(from.client, clock.now());
    if (wait > 0)
      throw new Problem('CONSOLE_TOO_MANY', `more than ${LOGINS_PER_MINUTE} log-ins in a minute`, {
        retryAfterSeconds: wait,
      });
    const user = await this.#reviews.user(token);
    if (typeof user === 'string')
      throw new Problem('CONSOLE_TOKEN_REFUSED', `the token is refused: ${user}`);
    const id = newSessionId(random);
    const now = clock.wallTime();
    const expiresMs = Math.min(
      now + SESSION_SECONDS * 1000,
      expiryOf(token) ?? Number.POSITIVE_INFINITY,
    );
    const value = sealSession({ id, token, expiresMs }, await this.#key.get(), random);
    if (value === undefined)
      throw new Problem('CONSOLE_TOO_LARGE', 'the token is longer than a cookie can hold', {
        hint: 'use the token of a service account: kubectl create token NAME -n NAMESPACE',
      });
    const maxAgeSeconds = Math.max(0, Math.floor((expiresMs - now) / 1000));
    return {
      reader: await this.#known(user, { kind: 'session', token, sessionId: id }),
      cookie: setCookie(value, { maxAgeSeconds, isSecure: from.isSecure }),
    };
  }

  logoutCookie(isSecure: boolean): string {
    return setCookie('', { maxAgeSeconds: 0, isSecure });
  }

  /** Guests see what the mesh knows; others what the API server would show them. */
  async may(reader: Reader, right: Right): Promise<boolean> {
    if (reader.kind === 'guest') return true;
    if (reader.token === undefined) return false;
    const user = await this.#reviews.user(reader.token);
    return typeof user !== 'string' && (await this.#reviews.may(user, right));
  }

  async #known(user: User, how: Pick<Reader, 'kind' | 'token' | 'sessionId'>): Promise<Reader> {
    const namespaces = await this.#reviews.namespaces(user, this.#deps.namespaces());
    return { user: user.username, namespaces, isOwner: false, ...how };
  }

  /** Guests read on while the API server is away, so their proof may be of this replica alone. */
  async #csrfKey(reader: Reader): Promise<Uint8Array> {
    if (reader.kind === 'session') return this.#key.get();
    if (this.#sharedKey !== undefined) return this.#sharedKey;
    try {
      this.#sharedKey = await this.#key.get();
      return this.#sharedKey;
    } catch (error) {
      if (error instanceof Problem) return this.#ownKey;
      throw error;
    }
  }
}

export function mayWrite(reader: Reader): boolean {
  return reader.isOwner || reader.token !== undefined;
}

/** When a JWT says that it ends; undefined for others. Not verified: the API server does that. */
export function expiryOf(token: string): number | undefined {
  const [, payload] = token.split('.');
  if (payload === undefined) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as {
      exp?: unknown;
    };
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    // Not every token is a JWT.
    return undefined;
  }
}
