import { describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { decodePem } from '#wire/x509/pem.ts';
import { CRL_BYTES_MAX, CRL_POLL_MS } from '../limits.ts';
import { followCrlFile } from './crl-file.ts';
import { readRevocationLists, revocationOf } from './revocation.ts';

const WEB = 'spiffe://cluster.local/ns/shop/sa/web';

const ca = await createTestCa();
const middle = await ca.subordinate('middle');
const web = await ca.issue(WEB);
const below = await middle.issue(WEB);
/** Leaf first, as the handshake gives it: with the root at the end. */
const chainOf = (identity: TlsIdentity, root = ca.rootPem) =>
  decodePem('CERTIFICATE', identity.certificateChain + root);
const listsOf = (pem: string) => {
  const lists = readRevocationLists(Buffer.from(pem));
  if (lists instanceof MeshError) throw lists;
  return lists;
};
const judge = async (identity: TlsIdentity, pem: string) =>
  revocationOf(chainOf(identity), listsOf(pem), 'downstream')?.message;

describe('revocationOf', () => {
  test('refuses a leaf that its CA lists, and names it', async () => {
    expect(await judge(web, await ca.revoke([web.certificateChain]))).toMatch(
      /^the certificate of spiffe:\/\/cluster.local\/ns\/shop\/sa\/web is revoked \(serial [0-9a-f]+\)$/,
    );
  });

  test('refuses a leaf under a CA that is revoked', async () => {
    const own = decodePem('CERTIFICATE', below.certificateChain)[1];
    const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(own).toString('base64')}\n-----END CERTIFICATE-----\n`;
    expect(await judge(below, await ca.revoke([pem]))).toStartWith('a CA above the certificate of');
    expect(await judge(web, await ca.revoke([pem]))).toBeUndefined();
  });

  test('looks at every list of the file', async () => {
    const other = await ca.issue(WEB);
    const pem = (await ca.revoke([])) + (await middle.revoke([below.certificateChain]));
    expect(await judge(below, pem)).toContain('is revoked');
    expect(await judge(other, pem)).toBeUndefined();
  });

  test('allows what no list names: unknown is allowed', async () => {
    expect(await judge(web, '')).toBeUndefined();
    expect(await judge(web, await ca.revoke([below.certificateChain]))).toBeUndefined();
    // The same serial number of another issuer.
    expect(await judge(below, await ca.revoke([below.certificateChain]))).toBeUndefined();
  });

  test('does not believe a list that the issuer did not sign', async () => {
    const impostor = await createTestCa();
    const forged = await impostor.revoke([web.certificateChain]);
    expect(await judge(web, forged)).toBeUndefined();
    // Where the issuer is not at hand to tell, the answer is the safe one.
    const [leaf] = chainOf(web);
    expect(revocationOf([leaf], listsOf(forged), 'upstream')?.code).toBe('TRUST_REVOKED');
  });
});

describe('readRevocationLists', () => {
  test('reads PEM among other blocks, DER, and nothing', async () => {
    const pem = await ca.revoke([web.certificateChain]);
    expect(listsOf(`${ca.rootPem}text\n${pem}${pem}`)).toHaveLength(2);
    const [der] = decodePem('X509 CRL', pem);
    expect(readRevocationLists(der)).toHaveLength(1);
    expect(readRevocationLists(Buffer.from(' \n'))).toEqual([]);
  });

  test('refuses text without any list', () => {
    const error = readRevocationLists(Buffer.from(ca.rootPem));
    expect(error).toMatchObject({ message: 'it has no block "X509 CRL"' });
  });

  test('refuses a file that is cut inside a list: the rest must not be lifted', async () => {
    const pem = (await ca.revoke([web.certificateChain])) + (await middle.revoke([]));
    const error = readRevocationLists(Buffer.from(pem.slice(0, -40)));
    expect(error).toMatchObject({ code: 'TRUST_CRL_INVALID', message: '1 of 2 lists are cut off' });
  });
});

describe('followCrlFile', () => {
  const clock = new FakeClock();
  const path = join(tmpdir(), `tulle-crl-${process.pid}.pem`);

  test('puts each change of the file in force, and keeps the last good one', async () => {
    using file = { [Symbol.dispose]: () => rmSync(path, { force: true }) };
    expect(file).toBeDefined();
    const lines: string[] = [];
    const log = createLogger('node', { clock, write: (line) => void lines.push(line) });
    const revocations = followCrlFile(path, { clock, log });
    let changes = 0;
    revocations.onChange(() => changes++);
    const isRevoked = () => revocations.judge(chainOf(web), 'upstream')?.code;
    const next = () => clock.advance(CRL_POLL_MS);

    expect(isRevoked()).toBeUndefined();
    expect(revocations.status().lastError).toBeUndefined();
    writeFileSync(path, await ca.revoke([web.certificateChain]));
    next();
    expect([isRevoked(), changes]).toEqual(['TRUST_REVOKED', 1]);
    expect(revocations.status()).toEqual({ path, lists: 1, revoked: 1, lastError: undefined });
    next();
    expect(changes).toBe(1);

    writeFileSync(path, 'nonsense');
    next();
    expect([isRevoked(), changes]).toEqual(['TRUST_REVOKED', 1]);
    expect(revocations.status().lastError).toContain('no DER');
    writeFileSync(path, Buffer.alloc(CRL_BYTES_MAX + 1, '\n'));
    next();
    expect(revocations.status().lastError).toContain('bytes');
    rmSync(path);
    next();
    next();
    expect([isRevoked(), changes]).toEqual(['TRUST_REVOKED', 1]);

    writeFileSync(path, await ca.revoke([]));
    next();
    expect([isRevoked(), changes]).toEqual([undefined, 2]);
    // Each state of the file is said once.
    expect(lines.map((line) => line.split('\t')[1])).toEqual([
      'info',
      'info',
      'error',
      'error',
      'error',
      'info',
    ]);
    revocations.stop();
    expect(clock.pending).toBe(0);
  });
});
