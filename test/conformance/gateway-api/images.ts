/**
 * The images that the suite's manifests name. Its own servers come with it; `echo-advanced`, server and client of the tests of a mesh,
 * is Istio's, as upstream builds it (docker/Dockerfile.echo-advanced). CoreDNS answers the tests that ask for names.
 */
import 'reflect-metadata';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { goBuild } from '#test/kube/build-cache.ts';
import { packImage } from '#test/kube/images.ts';
import { encodePem } from '#wire/x509/pem.ts';

const module = import.meta.dir;
const ISTIO_ECHO = 'istio.io/istio/pkg/test/echo/cmd';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface SuiteImage {
  /** Last part of the image's name. */
  name: string;
  /** Programs of /bin: packages by their names there. The first is the entrypoint. */
  programs: Readonly<Record<string, string>>;
  /** Where the go.mod is that pins them. */
  module: string;
  /** Default root. */
  user?: string;
  /** Needs /cert.crt and /cert.key, which its manifests name. */
  certificate?: boolean;
}

export function suiteImages(suite: string): SuiteImage[] {
  return [
    // Distroless' "nonroot", as upstream's.
    {
      name: 'echo-basic',
      programs: { 'echo-basic': `${suite}/echo-basic` },
      module,
      user: '65532:65532',
    },
    { name: 'coredns', programs: { coredns: './dns' }, module },
    {
      name: 'echo-advanced',
      programs: { server: `${ISTIO_ECHO}/server`, client: `${ISTIO_ECHO}/client` },
      module: join(module, 'echo-advanced'),
      user: '1338',
      certificate: true,
    },
  ];
}

/** Builds the programs and packs them under all `tags` into NAME.tar of `target`. */
export async function packSuiteImage(
  image: SuiteImage,
  { target, tags }: { target: string; tags: readonly string[] },
): Promise<void> {
  const root = join(target, `root-${image.name}`);
  mkdirSync(join(root, 'bin'), { recursive: true });
  for (const [name, source] of Object.entries(image.programs)) {
    const output = join(root, 'bin', name);
    await goBuild({ module: image.module, output, package: source, isStatic: true });
  }
  if (image.certificate === true) await writeCertificate(root);
  await packImage(root, {
    archive: join(target, `${image.name}.tar`),
    tags,
    entrypoint: [`/bin/${Object.keys(image.programs)[0]}`],
    ...(image.user !== undefined && { user: image.user }),
  });
}

/** Nobody verifies it: the suite's requests are plain HTTP and gRPC, but the server does not start without. */
async function writeCertificate(folder: string): Promise<void> {
  x509.cryptoProvider.set(crypto);
  const keys = (await crypto.subtle.generateKey(ALGORITHM, true, [
    'sign',
    'verify',
  ])) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=echo',
    keys,
    signingAlgorithm: ALGORITHM,
    notAfter: new Date('2126-01-01T00:00:00Z'),
  });
  writeFileSync(join(folder, 'cert.crt'), certificate.toString('pem'), { mode: 0o644 });
  const key = new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  writeFileSync(join(folder, 'cert.key'), encodePem('PRIVATE KEY', key), { mode: 0o644 });
}
