/**
 * An image as one tar that is an OCI image layout and a docker-archive at once: containerd, Podman, Docker and skopeo import
 * it. Blobs are named by their SHA-256; the same layers and configuration give the same bytes.
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
import { createHash } from 'node:crypto';
import { type Entry, file, pack } from './tar.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface ImageConfig {
  /** As Go names it. */
  readonly architecture: string;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly environment: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since 1970. */
  readonly created: number;
}

export interface LayerContent {
  readonly tar: Uint8Array;
  /** What it holds, for `docker history`. */
  readonly comment: string;
}

export interface Image {
  readonly archive: Uint8Array;
  /** Of the manifest: what `image@sha256:…` refers to. */
  readonly digest: string;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** `tag` as a user writes it: `tulle:1.2.3` is Docker Hub's `library/tulle`. */
export function imageOf(config: ImageConfig, layers: readonly LayerContent[], tag: string): Image {
  const blobs = new Map<string, Entry>();
  const add = (mediaType: string, content: Uint8Array): Descriptor => {
    const digest = sha256(content);
    blobs.set(digest, file(blobPath(digest), content));
    return { mediaType, digest, size: content.length };
  };
  // libdeflate writes neither time nor name into the header, and is three times as fast as zlib.
  const zipped = layers.map(({ tar }) =>
    add(LAYER, Bun.gzipSync(tar as Uint8Array<ArrayBuffer>, { library: 'libdeflate', level: 6 })),
  );
  const described = add(CONFIG, json(configOf(config, layers)));
  const manifest = add(
    MANIFEST,
    json({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: described,
      layers: zipped,
      annotations: config.labels,
    }),
  );
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        ...manifest,
        platform: { architecture: config.architecture, os: 'linux' },
        annotations: {
          'io.containerd.image.name': fullName(tag),
          'org.opencontainers.image.ref.name': tag.slice(tag.lastIndexOf(':') + 1),
        },
      },
    ],
  };
  const docker = [
    {
      Config: blobPath(described.digest),
      RepoTags: [tag],
      Layers: zipped.map(({ digest }) => blobPath(digest)),
    },
  ];
  const archive = pack([
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(index)),
    file('manifest.json', json(docker)),
    ...[...blobs.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  ]);
  return { archive, digest: manifest.digest };
}

function configOf(config: ImageConfig, layers: readonly LayerContent[]): unknown {
  const created = new Date(config.created * 1000).toISOString();
  return {
    created,
    architecture: config.architecture,
    os: 'linux',
    config: {
      User: config.user,
      Env: config.environment,
      Entrypoint: config.entrypoint,
      WorkingDir: '/',
      Labels: config.labels,
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => sha256(tar)) },
    history: layers.map(({ comment }) => ({ created, created_by: comment })),
  };
}

/** The name under which containerd and Kubernetes look `tag` up. */
export function fullName(tag: string): string {
  const [first, ...others] = tag.split('/');
  if (others.length === 0) return `docker.io/library/${tag}`;
  return /[.:]/.test(first) || first === 'localhost' ? tag : `docker.io/${tag}`;
}

const sha256 = (content: Uint8Array) =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;
const blobPath = (digest: string) => `blobs/${digest.replace(':', '/')}`;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
