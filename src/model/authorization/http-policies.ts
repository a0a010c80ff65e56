/**
 * Policies that need HTTP, as their objects say them (security/v1beta1/authorization_policy.proto, request_authentication.proto): JSON-safe,
 * what a waypoint, a gateway or `why` is handed. #policy/l7 makes them ready to judge by.
 */

/** What a proxy judges by: tokens first, then the policies. */
export interface HttpPolicies {
  /** The mesh's trust domain and its other names. */
  readonly trustDomains: readonly string[];
  readonly policies: readonly HttpPolicy[];
  readonly tokens: readonly TokenPolicy[];
}

export type PolicyAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

export interface HttpPolicy {
  readonly namespace: string;
  readonly name: string;
  readonly action: PolicyAction;
  /** Told, never enforced. */
  readonly dryRun: boolean;
  /** OR. None: ALLOW lets nothing through, the others do nothing. */
  readonly rules: readonly PolicyRule[];
  /** Of CUSTOM. */
  readonly provider?: string;
}

/** From, to and when AND; entries of each list OR (of `when`: AND). */
export interface PolicyRule {
  readonly from?: readonly { readonly source?: Fields }[];
  readonly to?: readonly { readonly operation?: Fields }[];
  readonly when?: readonly {
    readonly key?: string;
    readonly values?: readonly string[];
    readonly notValues?: readonly string[];
  }[];
}

/** Lists of patterns by field name; `notX` beside `x`. */
export type Fields = Readonly<Record<string, readonly string[] | undefined>>;

/** A RequestAuthentication. */
export interface TokenPolicy {
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly JwtRule[];
}

/** request_authentication.proto JWTRule. */
export interface JwtRule {
  readonly issuer?: string;
  readonly audiences?: readonly string[];
  readonly jwks?: string;
  /** Where the control plane fetches keys; proxies go by `jwks` alone. */
  readonly jwksUri?: string;
  /** Why there is no `jwks`, from the control plane: every token of the issuer fails. */
  readonly keysMissing?: string;
  readonly fromHeaders?: readonly { readonly name?: string; readonly prefix?: string }[];
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  /** Gets the payload of a verified token, base64url. */
  readonly outputPayloadToHeader?: string;
  readonly outputClaimToHeaders?: readonly { readonly header?: string; readonly claim?: string }[];
  /** Else the token is taken away before the request goes on. */
  readonly forwardOriginalToken?: boolean;
  /** Besides `scope` and `permission`: texts of these claims are lists, by spaces, to policies and routes. */
  readonly spaceDelimitedClaims?: readonly string[];
}
