/**
 * TLS material by name, read once when it arrives: is it usable, which names does its certificate cover. A material that came broken
 * keeps the last good one in force, with the reason; one that is gone is gone. Keys stay in this process and out of every message.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { MeshError, messageOf } from '#base/errors.ts';
import { readRevocationLists } from '#identity/trust/revocation.ts';
import type { TlsMaterial } from '#model/route/gateway-config.ts';
import type { RevocationList } from '#wire/x509/crl.ts';

export interface Material {
  /** Undefined: roots alone. */
  readonly pair: CertificatePair | undefined;
  readonly roots: string | undefined;
  readonly revoked: readonly RevocationList[];
}

export interface CertificatePair {
  readonly certificateChain: string;
  readonly privateKey: string;
  covers(name: string): boolean;
}

/** The material, or what is wrong with it. */
export function readMaterial(material: TlsMaterial): Material | string {
  const { certificateChain, privateKey, roots, revocationList } = material;
  let pair: CertificatePair | undefined;
  if (certificateChain !== undefined || privateKey !== undefined) {
    if (certificateChain === undefined) return 'it has a key and no certificate';
    if (privateKey === undefined) return 'it has a certificate and no key';
    const read = readPair(certificateChain, privateKey);
    if (typeof read === 'string') return read;
    pair = read;
  }
  if (pair === undefined && roots === undefined) return 'it has neither certificate nor roots';
  const badRoots = roots === undefined ? undefined : certificateProblem(roots);
  if (badRoots !== undefined) return `its roots cannot be read: ${badRoots}`;
  const revoked = readRevocationLists(Buffer.from(revocationList ?? ''));
  if (revoked instanceof MeshError) return `its revocation list cannot be read: ${revoked.message}`;
  return { pair, roots, revoked };
}

function readPair(certificateChain: string, privateKey: string): CertificatePair | string {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificateChain);
  } catch (error) {
    return `its certificate cannot be read: ${messageOf(error)}`;
  }
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(privateKey))) {
      return 'its key does not belong to its certificate';
    }
  } catch {
    // What the library says of a key might quote it.
    return 'its key cannot be read';
  }
  return {
    certificateChain,
    privateKey,
    // The library refuses to be asked for nothing.
    covers: (name) => name !== '' && leaf.checkHost(name) !== undefined,
  };
}

function certificateProblem(pem: string): string | undefined {
  try {
    new X509Certificate(pem);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Looks materials up by name. */
export interface Materials {
  get(name: string): Material | undefined;
}

export class MaterialStore implements Materials {
  readonly #known = new Map<string, { from: TlsMaterial; good: Material | undefined }>();
  readonly #problems = new Map<string, string>();

  get(name: string): Material | undefined {
    return this.#known.get(name)?.good;
  }

  /** What is wrong, each with the name of the material. */
  get problems(): readonly string[] {
    return [...this.#problems.values()];
  }

  /** Takes over what there is now; true when something changed. */
  update(entries: Iterable<readonly [string, TlsMaterial]>): boolean {
    const left = new Set(this.#known.keys());
    let changed = false;
    for (const [name, from] of entries) {
      left.delete(name);
      const before = this.#known.get(name);
      if (before?.from === from) continue;
      changed = true;
      const read = readMaterial(from);
      if (typeof read !== 'string') {
        this.#known.set(name, { from, good: read });
        this.#problems.delete(name);
        continue;
      }
      const kept = before?.good === undefined ? '' : '; the last good one stays in force';
      this.#known.set(name, { from, good: before?.good });
      this.#problems.set(name, `TLS material ${name}: ${read}${kept}`);
    }
    for (const name of left) {
      this.#known.delete(name);
      this.#problems.delete(name);
      changed = true;
    }
    return changed;
  }
}
