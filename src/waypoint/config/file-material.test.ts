import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import { readFiles } from './file-material.ts';

const folder = mkdtempSync(join(tmpdir(), 'tulle-files-'));
const at = (name: string) => join(folder, name);
const files = { certificate: at('tls.crt'), privateKey: at('tls.key'), roots: at('ca.crt') };
let ca: TestCa;

async function write(stamp: number): Promise<string> {
  const { certificateChain, privateKey } = await ca.issue('spiffe://t/ns/n/sa/a');
  writeFileSync(files.certificate, certificateChain);
  writeFileSync(files.privateKey, privateKey);
  writeFileSync(files.roots, ca.rootPem);
  for (const path of Object.values(files)) utimesSync(path, stamp, stamp);
  return certificateChain;
}

beforeAll(async () => {
  ca = await createTestCa();
});
afterAll(() => rmSync(folder, { recursive: true }));

test('readFiles reads a pair and roots, once as long as they stay, and again when they change', async () => {
  const first = await write(1_000);
  const read = readFiles(files);
  expect(read).toMatchObject({ pair: { certificateChain: first }, roots: ca.rootPem });
  expect(readFiles(files)).toBe(read);
  const second = await write(2_000);
  expect(readFiles(files)).toMatchObject({ pair: { certificateChain: second } });
});

test('readFiles says what is wrong, and never quotes a key', async () => {
  await write(3_000);
  expect(readFiles({ roots: at('none') })).toContain('ENOENT');
  expect(readFiles({ certificate: files.certificate })).toBe('it has a certificate and no key');
  writeFileSync(
    at('broken.key'),
    '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n',
  );
  expect(readFiles({ certificate: files.certificate, privateKey: at('broken.key') })).toBe(
    'its key cannot be read',
  );
});
