/** The image as files: what an engine reads of it, and that the same input gives the same bytes. */
import { describe, expect, test } from 'bun:test';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Base, baseOf } from './base-files.ts';
import { ENVIRONMENT, PROGRAM_PATH, SBOM_PATH, tulleImage, USER } from './image.ts';
import { fullName, imageOf } from './oci.ts';
import { type LockedPackage, sbomOf } from './sbom.ts';
import { directory, file, link, pack, tarOf } from './tar.ts';

const PROGRAM = Buffer.from('a program');
const OPTIONS = { tag: 'tulle:1.2.3', created: 0 };
const BASE: Base = {
  entries: [
    file('/etc/passwd', 'nonroot'),
    link('/lib', 'usr/lib'),
    directory('/tmp', 0o1777),
    file('/usr/lib/libc.so.6', 'library', 0o755),
  ],
  packages: [{ name: 'libc6', version: '2.36-9', architecture: 'amd64', status: 'Package: libc6' }],
};

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** What the machine's tar program says about an archive. */
function tar(flags: string, archive: Uint8Array, ...names: string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-tar-'));
  try {
    writeFileSync(join(folder, 'archive.tar'), archive);
    const words = [`-${flags}f`, 'archive.tar', '--numeric-owner', ...names];
    return execFileSync('tar', words, { cwd: folder, env: { PATH: process.env.PATH, TZ: 'UTC' } });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Descriptor {
  digest: string;
  size: number;
  mediaType: string;
  annotations: Record<string, string>;
}

function opened(archive: Uint8Array) {
  const names = tar('t', archive).toString().trim().split('\n');
  const read = (name: string) => tar('xO', archive, name);
  const parsed = <T>(name: string) => JSON.parse(read(name).toString()) as T;
  const blob = ({ digest }: { digest: string }) => `blobs/${digest.replace(':', '/')}`;
  const [described] = parsed<{ manifests: Descriptor[] }>('index.json').manifests;
  const manifest = parsed<{ config: Descriptor; layers: Descriptor[] }>(blob(described));
  const config = parsed<{
    config: Record<string, unknown>;
    rootfs: { diff_ids: string[] };
    created: string;
  }>(blob(manifest.config));
  const layers = manifest.layers.map((layer) => gunzipSync(read(blob(layer))));
  return { names, read, parsed, blob, described, manifest, config, layers };
}

describe('tarOf', () => {
  test('adds the directories above, sorts, and gives everything to root at the time 0', () => {
    const listed = tar(
      'tv',
      tarOf([file('/b/c/d', 'x', 0o755), link('/a', 'b'), directory('/b/e', 0o1777)]),
    )
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' '));
    expect(listed).toEqual([
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 a -> b',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 b/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 b/c/',
      '-rwxr-xr-x 0/0 1 1970-01-01 00:00 b/c/d',
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 b/e/',
    ]);
  });

  test('leaves directories of the layer below to it', () => {
    const listed = tar('t', tarOf([file('/usr/bin/x', 'x')], new Set(['/usr'])));
    expect(listed.toString()).toBe('usr/bin/\nusr/bin/x\n');
  });

  test('splits a path that the name field cannot hold, and refuses one that nothing can', () => {
    const path = `${'folder/'.repeat(20)}name`;
    expect(tar('t', pack([file(path, 'x')])).toString()).toBe(`${path}\n`);
    expect(() => pack([file('x'.repeat(101), '')])).toThrow('too long');
  });
});

describe('tulleImage', () => {
  test('is an OCI image layout whose every blob has the name and size that refer to it', () => {
    const { archive, digest } = tulleImage(PROGRAM, BASE, OPTIONS);
    const { names, read, parsed, blob, described, manifest, config, layers } = opened(archive);
    expect(parsed<object>('oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(described.digest).toBe(digest);
    for (const each of [described, manifest.config, ...manifest.layers]) {
      const bytes = read(blob(each));
      expect({ digest: `sha256:${sha256(bytes)}`, size: bytes.length }).toEqual({
        digest: each.digest,
        size: each.size,
      });
    }
    expect(config.rootfs.diff_ids).toEqual(layers.map((layer) => `sha256:${sha256(layer)}`));
    expect(names.filter((name) => name.startsWith('blobs/'))).toHaveLength(4);
  });

  test('is a docker-archive with the same blobs', () => {
    const { parsed, blob, manifest } = opened(tulleImage(PROGRAM, BASE, OPTIONS).archive);
    expect(parsed<object>('manifest.json')).toEqual([
      {
        Config: blob(manifest.config),
        RepoTags: ['tulle:1.2.3'],
        Layers: manifest.layers.map(blob),
      },
    ]);
  });

  test('starts the program as nonroot and is labelled', () => {
    const { config, described } = opened(tulleImage(PROGRAM, BASE, OPTIONS).archive);
    expect(config.created).toBe('1970-01-01T00:00:00.000Z');
    expect(config.config).toMatchObject({
      User: '65532:65532',
      Entrypoint: [PROGRAM_PATH],
      Labels: { 'org.opencontainers.image.title': 'tulle' },
    });
    expect(described.annotations['io.containerd.image.name']).toBe('docker.io/library/tulle:1.2.3');
  });

  test('has what rarely changes below and the program above', () => {
    const { layers } = opened(tulleImage(PROGRAM, BASE, OPTIONS).archive);
    const [lower, upper] = layers.map((layer) => tar('t', layer).toString().trim().split('\n'));
    expect(lower).toEqual([
      'etc/',
      'etc/passwd',
      'lib',
      'tmp/',
      'usr/',
      'usr/lib/',
      'usr/lib/libc.so.6',
    ]);
    expect(upper).toContain(PROGRAM_PATH.slice(1));
    expect(upper).toContain(SBOM_PATH.slice(1));
    expect(upper).not.toContain('usr/');
  });

  test('gives the same bytes for the same input, and another digest for another program', () => {
    const one = tulleImage(PROGRAM, BASE, OPTIONS);
    const reversed = { ...BASE, entries: BASE.entries.toReversed() };
    const other = tulleImage(PROGRAM, reversed, OPTIONS);
    expect(sha256(other.archive)).toBe(sha256(one.archive));
    const changed = tulleImage(Buffer.from('another'), BASE, OPTIONS);
    expect(changed.digest).not.toBe(one.digest);
    const layersOf = (archive: Uint8Array) => opened(archive).manifest.layers;
    expect(layersOf(changed.archive)[0]).toEqual(layersOf(one.archive)[0]);
  });
});

describe('Containerfile', () => {
  test('starts the program as the image does', () => {
    const text = readFileSync(join(import.meta.dir, '../../Containerfile'), 'utf8');
    const last = text.slice(text.lastIndexOf('FROM '));
    const of = (word: string) => new RegExp(`^${word} (.*)$`, 'm').exec(last)?.[1];
    expect({ user: of('USER'), environment: of('ENV'), entrypoint: of('ENTRYPOINT') }).toEqual({
      user: USER,
      environment: ENVIRONMENT.join(' '),
      entrypoint: JSON.stringify([PROGRAM_PATH]),
    });
  });
});

describe('imageOf', () => {
  test.each([
    ['tulle:1', 'docker.io/library/tulle:1'],
    ['team/tulle:1', 'docker.io/team/tulle:1'],
    ['registry.example/tulle:1', 'registry.example/tulle:1'],
    ['localhost/tulle:1', 'localhost/tulle:1'],
    ['registry:5000/tulle:1', 'registry:5000/tulle:1'],
  ])('%s is looked up as %s', (tag, name) => {
    const config = {
      architecture: 'amd64',
      user: '',
      entrypoint: [],
      environment: [],
      labels: {},
      created: 0,
    };
    expect(fullName(tag)).toBe(name);
    const { described } = opened(imageOf(config, [], tag).archive);
    expect(described.annotations).toEqual({
      'io.containerd.image.name': name,
      'org.opencontainers.image.ref.name': '1',
    });
  });
});

// Reads the database of Debian's packages.
describe.skipIf(Bun.which('dpkg-query') === null)('baseOf', () => {
  test('has the libraries of a program with every link to them, and their licences', () => {
    const { entries, packages } = baseOf(process.execPath);
    const paths = entries.map(({ path }) => path);
    expect(packages.map(({ name }) => name)).toEqual(['libc6', 'ca-certificates']);
    for (const name of ['libc.so.6', 'copyright', 'os-release', 'passwd', 'nsswitch.conf']) {
      expect(paths.some((path) => path.endsWith(`/${name}`))).toBe(true);
    }
    const loader = entries.find(
      ({ path, content }) => /\/ld-linux/.test(path) && content !== undefined,
    );
    expect(loader?.mode).toBe(0o755);
    const links = entries.filter(({ target }) => target !== undefined);
    for (const { path, content } of entries) {
      expect(
        content === undefined || links.every((each) => !path.startsWith(`${each.path}/`)),
      ).toBe(true);
    }
  });

  test('trusts the package’s certificates only', () => {
    const bundle = baseOf(process.execPath).entries.find(({ path }) =>
      path.endsWith('/ca-certificates.crt'),
    );
    const count = bundle?.content?.toString().match(/BEGIN CERTIFICATE/g)?.length ?? 0;
    const packaged = execFileSync('dpkg-query', ['-L', 'ca-certificates'], { encoding: 'utf8' });
    expect(count).toBe(packaged.match(/\/mozilla\/.*\.crt$/gm)?.length ?? -1);
  });
});

describe('sbomOf', () => {
  const integrity = `sha512-${Buffer.from('ab', 'hex').toString('base64')}`;
  const locked: Record<string, LockedPackage> = {
    '': { version: '1.0.0' },
    'node_modules/@scope/used': { version: '2.0.0', license: 'MIT', integrity },
    'node_modules/used/node_modules/inner': { version: '3.0.0' },
    'node_modules/tests-only': { version: '4.0.0', dev: true },
    'node_modules/bun': { version: '1.4.5' },
    'node_modules/@oven/bun-linux-x64': { version: '1.4.5', optional: true },
  };
  const materials = {
    version: '1.0.0',
    license: 'Apache-2.0',
    bunVersion: '1.4.5',
    locked,
    debian: BASE.packages,
    created: 0,
  };
  const document = JSON.parse(sbomOf(materials)) as {
    packages: { name: string; SPDXID: string; checksums?: { checksumValue: string }[] }[];
    relationships: { relatedSpdxElement: string }[];
    documentNamespace: string;
  };

  test('names what is in the image, each once, and nothing that only tests use', () => {
    expect(document.packages.map(({ name }) => name)).toEqual([
      'tulle',
      'bun',
      '@scope/used',
      'inner',
      'libc6',
    ]);
    expect(document.packages[2].checksums?.[0].checksumValue).toBe('ab');
  });

  test('relates every package, by identifiers that SPDX allows', () => {
    const ids = document.packages.map(({ SPDXID }) => SPDXID);
    expect(document.relationships.map((each) => each.relatedSpdxElement)).toEqual(ids);
    expect(ids.every((id) => /^SPDXRef-[A-Za-z0-9.-]+$/.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('has another namespace when a version changes', () => {
    const changed = JSON.parse(sbomOf({ ...materials, bunVersion: '9.9.9' })) as typeof document;
    expect(changed.documentNamespace).not.toBe(document.documentNamespace);
  });
});
