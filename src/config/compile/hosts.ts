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
