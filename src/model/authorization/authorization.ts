/** L4 authorization as the node proxy enforces it. Mirrors istio.security.Authorization; semantics in policy/. */

export type StringMatch =
  | { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly value: string }
  | { readonly kind: 'presence' };

export interface AddressRange {
  readonly address: string;
  readonly length: number;
}

export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** AND over fields; within a field OR; `not*` = none may match. All fields empty: never matches. */
export interface AuthorizationMatch {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly sourceIps: readonly AddressRange[];
  readonly notSourceIps: readonly AddressRange[];
  readonly destinationIps: readonly AddressRange[];
  readonly notDestinationIps: readonly AddressRange[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
}

/** policy = OR of rules; rule = AND of clauses; clause = OR of matches. */
export interface Authorization {
  readonly name: string;
  readonly namespace: string;
  readonly scope: 'global' | 'namespace' | 'workload-selector';
  readonly action: 'allow' | 'deny';
  readonly rules: readonly { readonly clauses: readonly (readonly AuthorizationMatch[])[] }[];
  readonly dryRun: boolean;
}

/**
 * Begins the name of the part of an AuthorizationPolicy that needs HTTP to be judged: a deny for connections that come
 * past no waypoint. The underscore keeps it apart from every Kubernetes name.
 */
export const NEEDS_WAYPOINT_PREFIX = 'tulle_needs_waypoint_';

/** Every decision carries the rule that made it. */
export interface Verdict {
  readonly allow: boolean;
  /** One sentence; for a denial it starts as ztunnel's does: `explicitly denied by: ns/name`. */
  readonly reason: string;
  /** `namespace/name` of the deciding policy. */
  readonly policy: string | undefined;
}

/** No field, so it never matches: what others are made from. */
export const NO_MATCH: AuthorizationMatch = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
  serviceAccounts: [],
  notServiceAccounts: [],
};
