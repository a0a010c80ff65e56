import { describe, expect, test } from 'bun:test';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { isMeshError } from '#base/errors.ts';
import { systemRandom } from '#base/random.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { encodePem } from '#wire/x509/pem.ts';
import { LEAF_TTL_SECONDS_MAX } from '../limits.ts';
import { readIssued } from '../svid/issued.ts';
import { makeKeyRequest } from '../svid/key-request.ts';
import { createRoot, loadAuthority } from './authority.ts';
import * as x509 from './x509.ts';

const WEB = parsePrincipal('spiffe://cluster.local/ns/shop/sa/web')!;
const OTHER = parsePrincipal('spiffe://cluster.local/ns/shop/sa/other')!;

async function authority(clock = new FakeClock()) {
  const deps = { clock, random: systemRandom };
  const material = await createRoot(deps, 'cluster.local');
  return { deps, material, ca: await loadAuthority(deps, material) };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (isMeshError(error) ? error.code : String(error)),
  );

describe('CertificateAuthority', () => {
  test('sign gives a leaf for the principal asked for, whatever the CSR names', async () => {
    const clock = new FakeClock();
    const { ca } = await authority(clock);
    const { csr, privateKey } = await makeKeyRequest(OTHER);
    const chain = await ca.sign({ csr, principal: WEB, ttlSeconds: 0 });
    expect(chain.length).toBe(2);
    expect(chain[1]).toBe(ca.root);
    const leaf = new X509Certificate(chain[0]);
    expect(leaf.subjectAltName).toBe(`URI:${WEB}`);
    expect(leaf.subject ?? '').toBe('');
    expect(leaf.ca).toBe(false);
    expect(leaf.verify(new X509Certificate(ca.root).publicKey)).toBe(true);
    expect(Date.parse(leaf.validFrom)).toBe(clock.wallTime() - 120_000);
    expect(Date.parse(leaf.validTo)).toBe(clock.wallTime() + 86_400_000);
    expect(readIssued(chain, { principal: WEB, privateKey })).toMatchObject({
      notAfter: clock.wallTime() + 86_400_000,
      identity: { trustBundle: ca.root },
    });
    expect(readIssued(chain, { principal: OTHER, privateKey })).toMatchObject({
      code: 'SVID_IDENTITY_MISMATCH',
    });
    expect(readIssued(chain.slice(0, 1), { principal: WEB, privateKey })).toMatchObject({
      code: 'SVID_RESPONSE_INVALID',
    });
  });

  test('openssl accepts request, chain, purposes and extensions', async () => {
    const { ca } = await authority(new FakeClock(systemClock.wallTime()));
    const { csr } = await makeKeyRequest(WEB);
    const [leaf, root] = await ca.sign({ csr, principal: WEB, ttlSeconds: 3600 });
    const folder = mkdtempSync(join(tmpdir(), 'tulle-ca-'));
    try {
      const file = (name: string, text: string) => {
        writeFileSync(join(folder, name), text);
        return join(folder, name);
      };
      const paths = [file('r.csr', csr), file('leaf.pem', leaf), file('root.pem', root)];
      const run = (...command: string[]) => {
        const { stdout, stderr } = Bun.spawnSync(['openssl', ...command]);
        return stdout.toString() + stderr.toString();
      };
      const request = run('req', '-verify', '-noout', '-text', '-in', paths[0]);
      expect(request).toContain('verify OK');
      expect(request).toMatch(
        /Alternative Name: critical\s+URI:spiffe:\/\/cluster.local\/ns\/shop\/sa\/web/,
      );
      for (const purpose of ['sslclient', 'sslserver']) {
        const verify = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', paths[2]];
        expect(run(...verify, paths[1])).toContain('OK');
      }
      const text = run('x509', '-noout', '-text', '-in', paths[1]);
      expect(text).toMatch(/Key Usage: critical\s+Digital Signature, Key Encipherment/);
      expect(text).toMatch(/Extended Key Usage:\s+TLS Web Server Authentication, TLS Web Client/);
      expect(text).toMatch(/Alternative Name: critical\s+URI:spiffe:/);
      expect(text).toContain('NIST CURVE: P-256');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a loaded root goes on signing for the same root certificate', async () => {
    const { deps, material, ca } = await authority();
    const again = await loadAuthority(deps, material);
    expect(again.root).toBe(ca.root);
    const { csr } = await makeKeyRequest(WEB);
    const [leaf] = await again.sign({ csr, principal: WEB, ttlSeconds: 60 });
    expect(new X509Certificate(leaf).verify(new X509Certificate(ca.root).publicKey)).toBe(true);
  });

  test('refuses what it must not sign, and roots that do not belong together', async () => {
    const { deps, material, ca } = await authority();
    const { csr } = await makeKeyRequest(WEB);
    const ask = (text: string, ttlSeconds = 60) =>
      codeOf(ca.sign({ csr: text, principal: WEB, ttlSeconds }));
    expect(await ask(csr, LEAF_TTL_SECONDS_MAX + 1)).toBe('CA_TTL_TOO_LONG');
    expect(await ask('')).toBe('CA_CSR_REJECTED');
    expect(await ask('x'.repeat(20_000))).toBe('CA_CSR_REJECTED');
    const der = Buffer.from(csr.replace(/-----[^-]+-----|\n/g, ''), 'base64');
    der[der.length - 5] ^= 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    expect(await ask(forged)).toBe('CA_CSR_REJECTED');
    const { privateKey } = await createRoot(deps, 'other');
    expect(await codeOf(loadAuthority(deps, { ...material, privateKey }))).toBe('CA_ROOT_INVALID');
    expect(await codeOf(loadAuthority(deps, { ...material, certificate: '' }))).toBe(
      'CA_ROOT_INVALID',
    );
  });

  test('root and serving certificate begin a day back: proxies reach a control plane whose clock is hours ahead', async () => {
    const clock = new FakeClock();
    const deps = { clock, random: systemRandom };
    const ca = await loadAuthority(deps, await createRoot(deps, 'test'));
    const { certificateChain } = await ca.issueServing(['localhost']);
    for (const pem of [ca.root, certificateChain]) {
      const { validFrom } = new X509Certificate(pem);
      expect(clock.wallTime() - Date.parse(validFrom)).toBe(86_400_000);
    }
  });

  test('issueServing carries the DNS names', async () => {
    const { ca } = await authority();
    const { certificateChain } = await ca.issueServing(['istiod.istio-system.svc', 'localhost']);
    const leaf = new X509Certificate(certificateChain);
    expect(leaf.subjectAltName).toBe('DNS:istiod.istio-system.svc, DNS:localhost');
  });
});

describe('a CA that was plugged in', () => {
  const hour = 3_600_000;
  const lifetime = {
    notBefore: new Date(systemClock.wallTime() - hour),
    notAfter: new Date(systemClock.wallTime() + 24 * hour),
  };
  const KINDS = {
    'ECDSA P-256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
    'ECDSA P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
    'RSA 2048': {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      publicExponent: new Uint8Array([1, 0, 1]),
      modulusLength: 2048,
    },
  };
  const EXTENSIONS = [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
  ];

  /** A root and an intermediate under it, as Istio's Secret cacerts holds them. */
  async function plugged(algorithm: (typeof KINDS)[keyof typeof KINDS]) {
    const keysOf = () =>
      crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;
    const [rootKeys, keys] = [await keysOf(), await keysOf()];
    const common = { signingAlgorithm: algorithm, ...lifetime };
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      ...common,
      name: 'CN=root',
      keys: rootKeys,
      extensions: EXTENSIONS,
    });
    const intermediate = await x509.X509CertificateGenerator.create({
      ...common,
      subject: 'CN=intermediate',
      issuer: root.subject,
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
      // A key identifier of the operator's own choice: the leaves must name this one.
      extensions: [...EXTENSIONS, new x509.SubjectKeyIdentifierExtension('0102030405')],
    });
    const der = new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
    const pem = (certificate: x509.X509Certificate) => `${certificate.toString('pem').trim()}\n`;
    const certificate = pem(intermediate);
    const roots = pem(root);
    const other = (await createRoot({ clock: systemClock, random: systemRandom }, 'next'))
      .certificate;
    return {
      certificate,
      privateKey: encodePem('PRIVATE KEY', der),
      chain: certificate + roots,
      roots: roots + other,
    };
  }

  const deps = { clock: systemClock, random: systemRandom };

  for (const [kind, algorithm] of Object.entries(KINDS)) {
    test(`${kind}: leaf, intermediate and all roots come apart, and openssl follows the chain`, async () => {
      const material = await plugged(algorithm);
      const ca = await loadAuthority(deps, material);
      const { csr, privateKey } = await makeKeyRequest(WEB);
      const chain = await ca.sign({ csr, principal: WEB, ttlSeconds: 3600 });
      expect(chain.slice(1)).toEqual([material.certificate, material.roots]);
      expect(readIssued(chain, { principal: WEB, privateKey })).toMatchObject({
        identity: {
          certificateChain: chain[0] + material.certificate,
          trustBundle: material.roots,
        },
      });
      const serving = await ca.issueServing(['istiod.istio-system.svc']);
      const folder = mkdtempSync(join(tmpdir(), 'tulle-plugged-'));
      for (const leaf of [chain[0], serving.certificateChain]) {
        writeFileSync(join(folder, 'leaf.pem'), leaf);
        writeFileSync(join(folder, 'up.pem'), material.certificate);
        writeFileSync(join(folder, 'roots.pem'), material.roots);
        const args = ['-CAfile', 'roots.pem', '-untrusted', 'up.pem', 'leaf.pem'];
        const done = Bun.spawnSync(['openssl', 'verify', ...args], { cwd: folder });
        expect(done.stdout.toString() + done.stderr.toString()).toContain('leaf.pem: OK');
      }
      rmSync(folder, { recursive: true });
    });
  }

  test('a signer without a chain is shown itself; a root alone is not shown at all', async () => {
    const { chain, ...material } = await plugged(KINDS['ECDSA P-256']);
    const { csr } = await makeKeyRequest(WEB);
    const request = { csr, principal: WEB, ttlSeconds: 0 };
    const ca = await loadAuthority(deps, material);
    expect((await ca.sign(request)).slice(1)).toEqual([material.certificate, material.roots]);
    const own = await createRoot(deps, 'x');
    const alone = await (await loadAuthority(deps, { ...own, roots: own.certificate })).sign(
      request,
    );
    expect(alone.length).toBe(2);
  });

  test('keys of PKCS #1 and SEC 1 are read; others, and roots that are none, are refused', async () => {
    const rsa = await plugged(KINDS['RSA 2048']);
    const pkcs1 = createPrivateKey(rsa.privateKey).export({ type: 'pkcs1', format: 'pem' });
    await loadAuthority(deps, { ...rsa, privateKey: String(pkcs1) });
    const ec = await plugged(KINDS['ECDSA P-384']);
    const sec1 = createPrivateKey(ec.privateKey).export({ type: 'sec1', format: 'pem' });
    await loadAuthority(deps, { ...ec, privateKey: String(sec1) });
    const { privateKey } = generateKeyPairSync('ed25519', {
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    expect(await codeOf(loadAuthority(deps, { ...ec, privateKey }))).toBe('CA_ROOT_INVALID');
    expect(await codeOf(loadAuthority(deps, { ...ec, roots: 'none' }))).toBe('CA_ROOT_INVALID');
    expect(await codeOf(loadAuthority(deps, { ...ec, privateKey: rsa.privateKey }))).toBe(
      'CA_ROOT_INVALID',
    );
  });
});
