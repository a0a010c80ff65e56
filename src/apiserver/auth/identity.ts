/** Who asks, and the whole of the authorization rules: fail closed, no role objects are evaluated. */

export interface Identity {
  username: string;
  uid?: string;
  groups: readonly string[];
  extra?: Record<string, string[]>;
}

export const ANONYMOUS: Identity = {
  username: 'system:anonymous',
  groups: ['system:unauthenticated'],
};

export const ADMIN: Identity = {
  username: 'kubernetes-admin',
  groups: ['system:masters', 'system:authenticated'],
};

/** What somebody wants to do, as SubjectAccessReview words it. */
export interface Attributes {
  verb: string;
  /** For requests that name no resource. */
  path?: string;
  group?: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
}

export interface Verdict {
  allowed: boolean;
  reason: string;
}

/** The mesh's own parts run there: istiod, the node proxies, the CNI agent. */
const SYSTEM_GROUPS = ['system:serviceaccounts:istio-system', 'system:serviceaccounts:kube-system'];
const PUBLIC_PATHS = new Set(['/readyz', '/livez', '/healthz', '/version', '/version/']);
const DISCOVERY = /^\/(api|apis|openapi|\.well-known|version|healthz|livez|readyz)(\/|$)/;
const SELF_REVIEWS = new Set(['selfsubjectaccessreviews', 'selfsubjectreviews']);

export function authorize(identity: Identity, attributes: Attributes): Verdict {
  if (identity.groups.includes('system:masters')) return { allowed: true, reason: 'admin' };
  const system = SYSTEM_GROUPS.find((group) => identity.groups.includes(group));
  if (system !== undefined) return { allowed: true, reason: `member of ${system}` };
  const { verb, path, resource } = attributes;
  if (path !== undefined && verb === 'get') {
    if (PUBLIC_PATHS.has(path)) return { allowed: true, reason: 'public path' };
    if (identity.groups.includes('system:authenticated') && DISCOVERY.test(path))
      return { allowed: true, reason: 'discovery' };
  }
  const isSelfReview = resource !== undefined && SELF_REVIEWS.has(resource) && verb === 'create';
  if (isSelfReview && identity.groups.includes('system:authenticated'))
    return { allowed: true, reason: 'asks about itself' };
  return { allowed: false, reason: '' };
}
