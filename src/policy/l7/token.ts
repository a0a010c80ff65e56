/**
 * RequestAuthentication: which token a request carries, and what it proves. A missing token proves nothing and is let through; one that is not
 * valid is refused (Istio: pilot/pkg/security/authn/policy_applier.go). Pure but for the time, which is handed in.
 */
import { createPublicKey, type JsonWebKeyInput, type KeyObject, verify } from 'node:crypto';
import type { JwtRule, TokenPolicy } from '#model/authorization/http-policies.ts';
import type { HttpFacts } from './policy.ts';

type JsonWebKey = JsonWebKeyInput['key'];

/** A rule that is ready to verify by. */
export interface TokenRule {
  /** `namespace/name` of its RequestAuthentication. */
  readonly policy: string;
  readonly rule: JwtRule;
  readonly keys: readonly TokenKey[];
  /** Fields that tell what a token proved, lower case: clients are not believed about them. */
  readonly outputs: readonly string[];
}

interface TokenKey {
  readonly id: string | undefined;
  readonly algorithm: string | undefined;
  readonly key: KeyObject;
}

export type Authentication =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'valid';
      /** As policies and routes see them. */
      readonly claims: Claims;
      /** As the token has them. */
      readonly payload: Claims;
      readonly token: Token;
      readonly rule: JwtRule;
    }
  | ({ readonly kind: 'invalid'; readonly policy: string } & Refusal);

type Claims = Readonly<Record<string, unknown>>;

export interface Token {
  readonly text: string;
  /** Lower case; where it was found, unless in a cookie. */
  readonly header?: string;
  readonly parameter?: string;
}

export interface Refusal {
  /** For people who look for the cause. */
  readonly reason: string;
  /** What Envoy answers (jwt_verify_lib status.cc). */
  readonly text: string;
  readonly status: 401 | 403;
  /** The keys are not here: it may be as good as it was when it was let in. */
  readonly isUnknown: boolean;
}

const refuse = (reason: string, text: string, status: Refusal['status'] = 401): Refusal => ({
  reason,
  text,
  status,
  isUnknown: false,
});
const BAD_FORM = refuse(
  'the token is no JWT',
  'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
);

const NONE: Authentication = { kind: 'none' };

/** Clocks differ: Envoy's default (jwt_authn config.proto, clock_skew_seconds). */
const CLOCK_SKEW_SECONDS = 60;

export function compileTokenRules({ namespace, name, rules }: TokenPolicy): TokenRule[] {
  const policy = `${namespace}/${name}`;
  return rules.map((rule) => {
    const { outputPayloadToHeader, outputClaimToHeaders = [], jwks } = rule;
    const outputs = [outputPayloadToHeader, ...outputClaimToHeaders.map(({ header }) => header)];
    return {
      policy,
      rule,
      keys: jwks === undefined ? [] : keysOf(jwks),
      outputs: outputs.flatMap((each) => (each ? [each.toLowerCase()] : [])),
    };
  });
}

/** Keys of no known kind are left out: nothing is signed by them. */
function keysOf(jwks: string): TokenKey[] {
  const { keys } = (parse(jwks) ?? {}) as KeySet;
  if (!Array.isArray(keys)) return [];
  return keys.flatMap((each: unknown) => {
    try {
      const key = createPublicKey({ key: each as JsonWebKey, format: 'jwk' });
      const { kid, alg } = each as { kid?: string; alg?: string };
      return [{ id: kid || undefined, algorithm: alg || undefined, key }];
    } catch (error) {
      if (error instanceof Error) return [];
      throw error;
    }
  });
}

/** The first token that is valid; if none is, what is wrong with the first. */
export function authenticate(
  rules: readonly TokenRule[],
  http: HttpFacts,
  nowSeconds: number,
): Authentication {
  let problem: Extract<Authentication, { kind: 'invalid' }> | undefined;
  for (const compiled of rules) {
    const { rule, policy } = compiled;
    for (const token of tokensOf(rule, http)) {
      const { claims: payload, refusal } = verifyToken(token.text, compiled, nowSeconds);
      if (payload !== undefined)
        return { kind: 'valid', claims: withLists(payload, rule), payload, token, rule };
      problem ??= { kind: 'invalid', policy, ...refusal };
    }
  }
  return problem ?? NONE;
}

/** Envoy's normalize_payload_in_metadata, with Istio's defaults (policy_applier.go buildSpaceDelimitedClaims). */
function withLists(payload: Claims, { spaceDelimitedClaims = [] }: JwtRule): Claims {
  const claims = { ...payload };
  for (const name of ['scope', 'permission', ...spaceDelimitedClaims]) {
    const value = claims[name];
    if (typeof value === 'string') claims[name] = value.split(' ');
  }
  return claims;
}

function tokensOf(rule: JwtRule, http: HttpFacts): Token[] {
  const { fromHeaders = [], fromParams = [], fromCookies = [] } = rule;
  const isDefault = fromHeaders.length + fromParams.length + fromCookies.length === 0;
  const headers = isDefault ? [{ name: 'authorization', prefix: 'Bearer ' }] : fromHeaders;
  const found: Token[] = [];
  for (const { name = '', prefix = '' } of headers) {
    const header = name.toLowerCase();
    const value = http.header(header);
    if (value?.startsWith(prefix)) found.push({ text: value.slice(prefix.length).trim(), header });
  }
  const query = new URLSearchParams(http.path.split('?')[1] ?? '');
  for (const name of isDefault ? ['access_token'] : fromParams) {
    const value = query.get(name);
    if (value !== null) found.push({ text: value, parameter: name });
  }
  const cookies = (http.header('cookie') ?? '').split(';').map((each) => each.trim().split('='));
  for (const name of fromCookies) {
    const cookie = cookies.find(([own]) => own === name);
    if (cookie !== undefined) found.push({ text: cookie.slice(1).join('=') });
  }
  return found;
}

interface KeySet {
  readonly keys?: unknown;
}

/** Claims, or why the token is refused. RFC 7519 §7.2, RFC 7515 §5.2. */
function verifyToken(
  token: string,
  { rule, keys: known }: TokenRule,
  nowSeconds: number,
):
  | { readonly claims: Claims; readonly refusal?: undefined }
  | { readonly claims?: undefined; readonly refusal: Refusal } {
  const no = (...because: Parameters<typeof refuse>) => ({ refusal: refuse(...because) });
  const [head, body, signature, ...more] = token.split('.');
  if (signature === undefined || more.length > 0) return { refusal: BAD_FORM };
  const header = jsonOf(head) as { alg?: string; kid?: string } | undefined;
  const claims = jsonOf(body) as Record<string, unknown> | undefined;
  if (header === undefined || claims === undefined) return { refusal: BAD_FORM };
  if (rule.issuer && claims.iss !== rule.issuer)
    return no(
      `the token is of issuer ${claims.iss}, not ${rule.issuer}`,
      'Jwt issuer is not configured',
    );
  const { exp, nbf, aud } = claims;
  if (typeof exp === 'number' && exp + CLOCK_SKEW_SECONDS < nowSeconds)
    return no('the token has expired', 'Jwt is expired');
  if (typeof nbf === 'number' && nbf > nowSeconds + CLOCK_SKEW_SECONDS)
    return no('the token is not valid yet', 'Jwt not yet valid');
  const audiences = [aud].flat();
  if (rule.audiences?.length && !rule.audiences.some((each) => audiences.includes(each)))
    return no(
      `the token is for ${audiences.join(', ') || 'nobody'}, not for ${rule.audiences.join(', ')}`,
      'Audiences in Jwt are not allowed',
      403,
    );
  const { alg = '', kid } = header;
  const keys = known.filter(
    ({ id, algorithm }) =>
      (kid === undefined || id === undefined || id === kid) &&
      (algorithm === undefined || algorithm === alg),
  );
  if (keys.length === 0) {
    const { keysMissing, issuer } = rule;
    const reason = keysMissing ?? `no key of issuer ${issuer} fits the token`;
    const refusal = refuse(reason, "Jwks doesn't have key to match kid or alg from Jwt");
    return { refusal: { ...refusal, isUnknown: keysMissing !== undefined } };
  }
  const signed = Buffer.from(`${head}.${body}`);
  const bytes = Buffer.from(signature, 'base64url');
  const isSigned = keys.some(({ key }) => isSignedBy(key, alg, signed, bytes));
  return isSigned
    ? { claims }
    : no('the signature of the token is not of its issuer', 'Jwt verification fails');
}

/** RFC 7518 §3.1; `none` and shared secrets are no proof here. */
function isSignedBy(key: KeyObject, algorithm: string, signed: Buffer, signature: Buffer): boolean {
  const match = /^(RS|PS|ES)(256|384|512)$/.exec(algorithm);
  try {
    if (algorithm === 'EdDSA') return verify(null, signed, key, signature);
    if (match === null) return false;
    const padding = match[1] === 'PS' ? { padding: RSA_PSS, saltLength: Number(match[2]) / 8 } : {};
    const encoding = match[1] === 'ES' ? { dsaEncoding: 'ieee-p1363' as const } : {};
    const options = { key, ...padding, ...encoding };
    return verify(`sha${match[2]}`, signed, options, signature);
  } catch (error) {
    // A key that does not fit its algorithm signs nothing.
    return error === undefined;
  }
}

/** crypto.constants.RSA_PKCS1_PSS_PADDING. */
const RSA_PSS = 6;

function jsonOf(part: string): unknown {
  return parse(Buffer.from(part, 'base64url').toString());
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch (error) {
    return error === undefined ? null : undefined;
  }
}
