/** The group of an `apiVersion` and the version in it; the core group's name is empty (Kubernetes: schema.ParseGroupVersion). */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1) };
}
