/** Where the files of the built console come from: a folder of the checkout, or what was compiled into the program. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { assert } from '#base/assert.ts';
import { COMPILED, embeddedPath } from '#base/compiled.ts';
import { isMeshError } from '#base/errors.ts';
import { CACHED_FILE_BYTES_MAX } from './limits.ts';

export interface BundleFile {
  /** For If-None-Match. */
  readonly tag: string;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
}

export interface BundleSource {
  /** By path in the bundle, `assets/index-Ab3dE9x1.js`; empty where nothing is built. */
  files(): ReadonlyMap<string, BundleFile>;
  /** What builds it. */
  readonly buildCommand: string;
}

/** One file: base64 by path. tools/image/embedded-files.ts writes it when the program is compiled. */
export const EMBEDDED_CONSOLE = 'console.json.gz';
const BUNDLE_FOLDER = join(import.meta.dir, '../../../web/dist');
const BUILD_COMMAND = 'npm run web';

export function bundleSource(): BundleSource {
  return COMPILED ? new EmbeddedBundle() : new FolderBundle(BUNDLE_FOLDER);
}

/** Read anew when its index page changes: a bundle that is built while we run is served at once. */
export class FolderBundle implements BundleSource {
  readonly buildCommand = BUILD_COMMAND;
  readonly #folder: string;
  #files: ReadonlyMap<string, BundleFile> = new Map();
  #builtMs = -1;

  constructor(folder: string) {
    this.#folder = folder;
  }

  files(): ReadonlyMap<string, BundleFile> {
    const builtMs = changedMs(join(this.#folder, 'index.html'));
    if (builtMs !== this.#builtMs) {
      this.#files = builtMs === undefined ? new Map() : listed(this.#folder);
      this.#builtMs = builtMs ?? -1;
    }
    return this.#files;
  }
}

function changedMs(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function listed(folder: string): ReadonlyMap<string, BundleFile> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = new Map<string, BundleFile>();
  for (const entry of entries) {
    // Links could lead out of the folder.
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(folder, path), fileOf(path));
  }
  return files;
}

function fileOf(path: string): BundleFile {
  const { size, mtimeMs } = statSync(path);
  let kept: Uint8Array<ArrayBuffer> | undefined;
  return {
    tag: `"${size.toString(36)}-${Math.floor(mtimeMs).toString(36)}"`,
    async bytes() {
      if (kept !== undefined) return kept;
      const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
      if (size <= CACHED_FILE_BYTES_MAX) kept = bytes;
      return bytes;
    },
  };
}

class EmbeddedBundle implements BundleSource {
  readonly buildCommand = BUILD_COMMAND;
  #files: ReadonlyMap<string, BundleFile> | undefined;

  files(): ReadonlyMap<string, BundleFile> {
    this.#files ??= embedded();
    return this.#files;
  }
}

function embedded(): ReadonlyMap<string, BundleFile> {
  let packed: Record<string, string>;
  try {
    packed = JSON.parse(gunzipSync(readFileSync(embeddedPath(EMBEDDED_CONSOLE))).toString());
  } catch (error) {
    assert(!isMeshError(error), 'reading a file of our own says nothing of the mesh');
    return new Map();
  }
  return new Map(
    Object.entries(packed).map(([path, text]) => {
      const bytes = new Uint8Array(Buffer.from(text, 'base64'));
      const tag = `"${Bun.hash(bytes).toString(36)}"`;
      return [path, { tag, bytes: async () => bytes }];
    }),
  );
}
