/** Bearer tokens to identities: the admin's fixed token, or a service account's. */
import { timingSafeEqual } from 'node:crypto';
import { ADMIN, ANONYMOUS, type Identity } from './identity.ts';
import { DEFAULT_AUDIENCE, type ServiceAccountTokens } from './service-account-tokens.ts';

export class Authenticator {
  readonly #admin: Buffer;
  readonly #tokens: ServiceAccountTokens;

  constructor(adminToken: string, tokens: ServiceAccountTokens) {
    this.#admin = digest(adminToken);
    this.#tokens = tokens;
  }

  /** Undefined: a credential was shown and it is no good (401). Without one the caller is anonymous. */
  async identify(headers: Headers): Promise<Identity | undefined> {
    const own = await this.#ownIdentity(headers);
    const user = headers.get('impersonate-user');
    if (own === undefined || user === null) return own;
    // `kubectl --as`: only an admin may be somebody else.
    if (!own.groups.includes('system:masters')) return undefined;
    const groups = (headers.get('impersonate-group') ?? '').split(',').map((group) => group.trim());
    return { username: user, groups: [...groups.filter(Boolean), 'system:authenticated'] };
  }

  async #ownIdentity(headers: Headers): Promise<Identity | undefined> {
    const authorization = headers.get('authorization');
    if (authorization === null) return ANONYMOUS;
    const match = /^Bearer +(\S+)$/i.exec(authorization);
    if (match === null) return undefined;
    return (await this.review(match[1], [DEFAULT_AUDIENCE]))?.identity;
  }

  /** Whose token it is, and for which of the audiences; undefined for nobody's. The admin's is meant for the API server alone. */
  async review(
    token: string,
    audiences: readonly string[],
  ): Promise<{ identity: Identity; audiences: string[] } | undefined> {
    // Compared by digest: equal lengths, and the time tells nothing.
    if (!timingSafeEqual(digest(token), this.#admin))
      return this.#tokens.identify(token, audiences);
    const isMeant = audiences.includes(DEFAULT_AUDIENCE);
    return isMeant ? { identity: ADMIN, audiences: [DEFAULT_AUDIENCE] } : undefined;
  }
}

function digest(text: string): Buffer {
  return new Bun.CryptoHasher('sha256').update(text).digest();
}
