/** The identities of the L4 cases, as files (the peers read files). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTestCa } from '#test/support/certificates.ts';
import type { Certificates } from './subjects/subject.ts';

/** One for each name, from one CA, in the order of the names. */
export async function makeCertificates(
  directory: string,
  names: readonly string[],
): Promise<Certificates[]> {
  const ca = await createTestCa('bench');
  const rootFile = join(directory, 'root.pem');
  writeFileSync(rootFile, ca.rootPem);
  const make = async (name: string): Promise<Certificates> => {
    const principal = `spiffe://cluster.local/ns/bench/sa/${name}`;
    const identity = await ca.issue(principal);
    const chainFile = join(directory, `${name}.pem`);
    const keyFile = join(directory, `${name}.key`);
    writeFileSync(chainFile, identity.certificateChain);
    writeFileSync(keyFile, identity.privateKey, { mode: 0o600 });
    return { principal, chainFile, keyFile, rootFile };
  };
  return Promise.all(names.map(make));
}
