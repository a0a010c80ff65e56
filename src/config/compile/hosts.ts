/** Host names in Istio's resources: short names, wildcards, who may see what. */

/**
 * A short name means a service of the object's own namespace; a name with a dot, a wildcard or an address stays as
 * it is (Istio: pkg/config/model.go ResolveShortnameToFQDN).
 */
export function resolveHost(host: string, scope: { namespace: string; domain: string }): string {
  const lower = host.toLowerCase();
  if (lower === '' || lower.includes('.') || lower.includes('*') || lower.includes(':'))
    return lower;
  return `${lower}.${scope.namespace}.svc.${scope.domain}`;
}

/**
 * How well a pattern (`a.b`, `*.b`, `*`) fits a host: undefined when not, else a number that is larger for the more
 * specific pattern. Exact beats any wildcard, a longer wildcard beats a shorter one.
 */
export function hostSpecificity(pattern: string, host: string): number | undefined {
  if (pattern === host) return Number.MAX_SAFE_INTEGER;
  if (!pattern.startsWith('*')) return undefined;
  const suffix = pattern.slice(1);
  return host.endsWith(suffix) && host.length > suffix.length ? pattern.length : undefined;
}

/** exportTo: `*` (or nothing) everywhere, `.` the object's namespace, `~` nowhere, else namespaces by name. */
export function isExportedTo(
  object: { namespace: string; exportTo: readonly string[] },
  namespace: string,
): boolean {
  if (object.exportTo.length === 0) return true;
  return object.exportTo.some(
    (target) =>
      target === '*' || target === namespace || (target === '.' && object.namespace === namespace),
  );
}

/** Every host that `part` stands for is one that `whole` stands for (Istio: host.Name SubsetOf). */
export function coversHost(whole: string, part: string): boolean {
  if (whole === part) return true;
  if (!whole.startsWith('*')) return false;
  return part.startsWith('*')
    ? part.length >= whole.length && part.endsWith(whole.slice(1))
    : part.endsWith(whole.slice(1));
}

/** Two hosts, wildcards or not, have a name in common; the narrower one is what they share. */
export function narrowerHost(left: string, right: string): string | undefined {
  if (coversHost(left, right)) return right;
  return coversHost(right, left) ? left : undefined;
}
