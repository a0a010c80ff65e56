/**
 * Service account tokens: JWTs that name the account, and the pod they are bound to. A token is good while its
 * signature, time and audience are, and while the account and the pod that it names exist with the same uid.
 */
import { createPublicKey } from 'node:crypto';
import { exportJWK, importPKCS8, importSPKI, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import { isJsonObject, type JsonObject, readPath } from '#kube/meta/object.ts';
import { TOKEN_CACHE_MAX } from '../limits.ts';
import type { Storage } from '../storage/storage.ts';
import type { Identity } from './identity.ts';

export const ISSUER = 'https://kubernetes.default.svc.cluster.local';
/** The audience of the API server itself: what a token without an asked audience is for. */
export const DEFAULT_AUDIENCE = ISSUER;
const ALGORITHM = 'ES256';

export interface TokenSubject {
  namespace: string;
  name: string;
  uid: string;
  pod?: { name: string; uid: string; nodeName?: string };
}

export interface TokenGrant {
  audiences: readonly string[];
  seconds: number;
}

export class ServiceAccountTokens {
  readonly #deps: { storage: Storage; clock: Clock; random: Random };
  readonly #sign: CryptoKey;
  readonly #verify: CryptoKey;
  readonly jwks: JsonObject;
  /** Verified payloads by token text; expiry and liveness are checked every time. */
  readonly #verified = new Map<string, JWTPayload>();

  private constructor(
    deps: { storage: Storage; clock: Clock; random: Random },
    keys: { sign: CryptoKey; verify: CryptoKey; jwks: JsonObject },
  ) {
    this.#deps = deps;
    this.#sign = keys.sign;
    this.#verify = keys.verify;
    this.jwks = keys.jwks;
  }

  static async load(
    deps: { storage: Storage; clock: Clock; random: Random },
    keyPem: string,
  ): Promise<ServiceAccountTokens> {
    const sign = await importPKCS8(keyPem, ALGORITHM);
    const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'pem' }).toString();
    const verify = await importSPKI(spki, ALGORITHM, { extractable: true });
    const jwk = await exportJWK(verify);
    const kid = new Bun.CryptoHasher('sha256').update(spki).digest('base64url');
    const jwks = { keys: [{ ...jwk, use: 'sig', kid, alg: ALGORITHM }] };
    return new ServiceAccountTokens(deps, { sign, verify, jwks });
  }

  async issue(
    subject: TokenSubject,
    grant: TokenGrant,
  ): Promise<{ token: string; expires: number }> {
    const now = Math.floor(this.#deps.clock.wallTime() / 1000);
    const expires = now + grant.seconds;
    const { namespace, name, uid, pod } = subject;
    const claims: JsonObject = { namespace, serviceaccount: { name, uid } };
    if (pod !== undefined) {
      claims.pod = { name: pod.name, uid: pod.uid };
      if (pod.nodeName !== undefined) claims.node = { name: pod.nodeName };
    }
    const kid = String(readPath(this.jwks, ['keys']) && (this.jwks.keys as JsonObject[])[0].kid);
    const token = await new SignJWT({ 'kubernetes.io': claims })
      .setProtectedHeader({ alg: ALGORITHM, kid })
      .setIssuer(ISSUER)
      .setSubject(`system:serviceaccount:${namespace}:${name}`)
      .setAudience([...grant.audiences])
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(expires)
      .setJti(this.#deps.random.uuid())
      .sign(this.#sign);
    return { token, expires };
  }

  /** Undefined: not a token of ours, out of date, for somebody else, or of something that is gone. */
  async identify(
    token: string,
    audiences: readonly string[] = [DEFAULT_AUDIENCE],
  ): Promise<{ identity: Identity; audiences: string[] } | undefined> {
    const payload = await this.#payloadOf(token);
    if (payload === undefined) return undefined;
    const now = this.#deps.clock.wallTime() / 1000;
    if ((payload.exp ?? 0) <= now || (payload.nbf ?? 0) > now) return undefined;
    const meant = [payload.aud ?? []].flat();
    const matching = audiences.filter((audience) => meant.includes(audience));
    if (matching.length === 0) return undefined;
    const identity = this.#identityOf(payload);
    return identity === undefined ? undefined : { identity, audiences: matching };
  }

  async #payloadOf(token: string): Promise<JWTPayload | undefined> {
    const known = this.#verified.get(token);
    if (known !== undefined) return known;
    let payload: JWTPayload;
    try {
      const currentDate = new Date(this.#deps.clock.wallTime());
      const options = { issuer: ISSUER, algorithms: [ALGORITHM], currentDate };
      payload = (await jwtVerify(token, this.#verify, options)).payload;
    } catch {
      return undefined; // Whatever is wrong with it, the answer is the same 401.
    }
    if (this.#verified.size >= TOKEN_CACHE_MAX)
      this.#verified.delete(this.#verified.keys().next().value!);
    this.#verified.set(token, payload);
    return payload;
  }

  #identityOf(payload: JWTPayload): Identity | undefined {
    const claims = payload['kubernetes.io'];
    if (!isJsonObject(claims) || !isJsonObject(claims.serviceaccount)) return undefined;
    const namespace = String(claims.namespace);
    const account = claims.serviceaccount;
    if (!this.#alive('/serviceaccounts', namespace, account)) return undefined;
    const extra: Record<string, string[]> = {};
    if (isJsonObject(claims.pod)) {
      if (!this.#alive('/pods', namespace, claims.pod)) return undefined;
      extra['authentication.kubernetes.io/pod-name'] = [String(claims.pod.name)];
      extra['authentication.kubernetes.io/pod-uid'] = [String(claims.pod.uid)];
    }
    if (isJsonObject(claims.node))
      extra['authentication.kubernetes.io/node-name'] = [String(claims.node.name)];
    return {
      username: `system:serviceaccount:${namespace}:${account.name}`,
      uid: String(account.uid),
      groups: [
        'system:serviceaccounts',
        `system:serviceaccounts:${namespace}`,
        'system:authenticated',
      ],
      extra,
    };
  }

  #alive(table: string, namespace: string, claim: JsonObject): boolean {
    const object = this.#deps.storage.get({ table, namespace, name: String(claim.name) });
    return object !== undefined && object.metadata.uid === claim.uid;
  }
}
