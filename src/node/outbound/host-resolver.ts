/** Finds an address for an endpoint that is known by name only (a ServiceEntry with resolution DNS). */
import type { MeshError } from '#base/errors.ts';

export interface HostResolver {
  /** Calls back once, perhaps at once: an address, of the family of `near` where the name has one. */
  resolve(hostname: string, near: string, done: (found: string | MeshError) => void): void;
}
