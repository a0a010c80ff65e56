/**
 * `npm run image -- --out FILE [--tag NAME:TAG]`: writes the image of Tulle as one tar for `ctr images import`, `docker load`,
 * `podman load` or `skopeo copy oci-archive:FILE`. `--layers FOLDER` instead writes the files of its two layers into FOLDER/base
 * and FOLDER/program, for the Containerfile. Needs no container engine; a Debian machine of the same architecture.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { baseOf } from './base-files.ts';
import { compiledProgram } from './compile.ts';
import { DEFAULT_TAG, layersOf, tulleImage } from './image.ts';

const USAGE = 'usage: npm run image -- --out FILE [--tag NAME:TAG] | --layers FOLDER\n';

const TEXT = { type: 'string' } as const;

interface Flags {
  out?: string;
  tag?: string;
  layers?: string;
}

function readFlags(argv: string[]): Flags {
  try {
    const options = { out: TEXT, layers: TEXT, tag: { ...TEXT, default: DEFAULT_TAG } };
    return parseArgs({ args: argv, options }).values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return {};
  }
}

function unpack(tar: Uint8Array, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const flags = ['--extract', '--preserve-permissions', '--directory', folder];
  const done = Bun.spawnSync(['tar', ...flags], { stdin: tar, stderr: 'inherit' });
  if (!done.success) throw new Error(`tar could not write to ${folder}`);
}

const { out, tag, layers } = readFlags(process.argv.slice(2));
if ((out === undefined) === (layers === undefined) || tag?.includes(':') !== true) {
  process.stderr.write(USAGE);
  process.exit(2);
}
const path = await compiledProgram();
const program = readFileSync(path);
const base = baseOf(path);
const created = Number(process.env.SOURCE_DATE_EPOCH ?? 0);
if (layers !== undefined) {
  for (const [name, { tar }] of Object.entries(layersOf(program, base, created)))
    unpack(tar, join(layers, name));
}
if (out !== undefined) {
  const { archive, digest } = tulleImage(program, base, { tag, created });
  writeFileSync(out, archive);
  process.stdout.write(`${out}: ${tag}, ${digest}\n`);
}
