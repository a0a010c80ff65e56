/**
 * Resource versions as Kubernetes compares them: decimal numbers of any length (KEP-5504). What is no number compares with
 * nothing. They run backwards when a backup of etcd is restored, and a watch from a version of the future is silent.
 */

const DECIMAL = /^[1-9]\d*$/;

/** True when both are numbers and `version` is the smaller. */
export function isOlderVersion(version: string, than: string): boolean {
  if (!DECIMAL.test(version) || !DECIMAL.test(than)) return false;
  return version.length === than.length ? version < than : version.length < than.length;
}
