/** Puts the image of Tulle together: the base layer, the program's layer with the bill of materials, the configuration. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import manifest from '../../package.json';
import { type Base, NONROOT } from './base-files.ts';
import { type Image, imageOf, type LayerContent } from './oci.ts';
import { type LockedPackage, sbomOf } from './sbom.ts';
import { type Entry, file, parentsOf, tarOf } from './tar.ts';

const ROOT = join(import.meta.dir, '../..');
export const PROGRAM_PATH = '/usr/local/bin/tulle';
export const SBOM_PATH = '/usr/share/sbom/tulle.spdx.json';

export interface ImageOptions {
  readonly tag: string;
  /** Seconds since 1970: SOURCE_DATE_EPOCH, or 0. */
  readonly created: number;
}

/** The Containerfile says the same. */
export const USER = `${NONROOT}:${NONROOT}`;
export const ENVIRONMENT = [
  'PATH=/usr/local/bin',
  'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt',
];

export const DEFAULT_TAG = `tulle:${manifest.version}`;

/** What rarely changes below, so that an upgrade pulls only the program. */
export interface Layers {
  readonly base: LayerContent;
  readonly program: LayerContent;
}

/** `created` in seconds since 1970. */
export function layersOf(program: Uint8Array, base: Base, created: number): Layers {
  const { version, license } = manifest;
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const sbom = sbomOf({
    version,
    license,
    bunVersion: Bun.version,
    locked: lock.packages,
    debian: base.packages,
    created,
  });
  const own: Entry[] = [file(PROGRAM_PATH, program, 0o755), file(SBOM_PATH, sbom)];
  const below = new Set(base.entries.flatMap(({ path }) => [path, ...parentsOf(path)]));
  return {
    base: { tar: tarOf(base.entries), comment: 'C library, certificates, accounts' },
    program: { tar: tarOf(own, below), comment: PROGRAM_PATH },
  };
}

export function tulleImage(program: Uint8Array, base: Base, options: ImageOptions): Image {
  const { tag, created } = options;
  const { version, license, description } = manifest;
  const layers = layersOf(program, base, created);
  return imageOf(
    {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      user: USER,
      entrypoint: [PROGRAM_PATH],
      environment: ENVIRONMENT,
      labels: {
        'org.opencontainers.image.title': 'tulle',
        'org.opencontainers.image.description': description,
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.licenses': license,
      },
      created,
    },
    [layers.base, layers.program],
    tag,
  );
}
