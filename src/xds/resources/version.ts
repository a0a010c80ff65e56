/** Resource versions: a hash of the encoded bytes, the same in every process and after every restart. */

/** xxHash64 in hex, as istiod versions addresses (pilot/pkg/xds/workload.go). */
export function versionOf(bytes: Uint8Array): string {
  return Bun.hash.xxHash64(bytes).toString(16).padStart(16, '0');
}
