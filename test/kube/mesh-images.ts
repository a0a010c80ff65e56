/**
 * The images that the mesh's scenarios run: Tulle itself, its samples under the names that examples/ give them, and `host`, a shell with
 * curl and the programs of mixed traffic. In the lab these names mean programs of the machine; here they are archives for `KubeCluster.loadImage`.
 */

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Base, baseOf } from '../../tools/image/base-files.ts';
import { compiledProgram } from '../../tools/image/compile.ts';
import { DEFAULT_TAG, PROGRAM_PATH, tulleImage } from '../../tools/image/image.ts';
import { imageOf } from '../../tools/image/oci.ts';
import { type Entry, file, link, parentsOf, tarOf } from '../../tools/image/tar.ts';

const BUSYBOX = '/bin/busybox';
const CURL = '/usr/bin/curl';
const TRAFFIC = join(import.meta.dir, '../support/traffic');
/** In the image `host`; the program runs scripts when BUN_BE_BUN is set. */
const TRAFFIC_INSIDE = '/opt/traffic';

/** Runs `server.ts` or `load.ts` of test/support/traffic in a container of the image `host`. */
export function trafficCommand(script: 'server.ts' | 'load.ts', ...args: string[]): string[] {
  return ['env', 'BUN_BE_BUN=1', PROGRAM_PATH, join(TRAFFIC_INSIDE, script), ...args];
}

/** By image, what it runs when the pod says nothing. */
const SAMPLES: Readonly<Record<string, readonly string[]>> = {
  'tulle/sample-http:latest': [PROGRAM_PATH, 'role', 'sample', 'http'],
  'tulle/sample-load:latest': [PROGRAM_PATH, 'role', 'sample', 'load'],
  'host:latest': [],
};

/** Archives to load; made once for each state of the sources. */
export async function meshImages(): Promise<string[]> {
  const program = await compiledProgram();
  const own = ['mesh-images.ts', '../support/traffic/server.ts', '../support/traffic/load.ts'];
  const hash = createHash('sha256').update(program);
  for (const name of own) hash.update(readFileSync(join(import.meta.dir, name)));
  const folder = join(homedir(), '.cache/tulle/kube-images', hash.digest('hex').slice(0, 16));
  if (!existsSync(folder)) {
    const unfinished = `${folder}.${process.pid}`;
    mkdirSync(unfinished, { recursive: true });
    for (const [name, archive] of archives(readFileSync(program), program))
      writeFileSync(join(unfinished, `${name.replaceAll(/[/:]/g, '-')}.tar`), archive);
    renameSync(unfinished, folder);
  }
  return readdirSync(folder).map((name) => join(folder, name));
}

function* archives(bytes: Uint8Array, path: string): Generator<[string, Uint8Array]> {
  const base = baseOf(path);
  const tulle = tulleImage(bytes, base, { tag: DEFAULT_TAG, created: 0 });
  yield [DEFAULT_TAG, tulle.archive];
  const lower = entriesOf([base, baseOf(CURL)]);
  const below = new Set(lower.flatMap((each) => [each.path, ...parentsOf(each.path)]));
  const tools = [
    file(BUSYBOX, readFileSync(BUSYBOX), 0o755),
    ...applets().map((name) => link(`/bin/${name}`, 'busybox')),
    file(CURL, readFileSync(CURL), 0o755),
    file(PROGRAM_PATH, bytes, 0o755),
    ...['server.ts', 'load.ts'].map((name) =>
      file(join(TRAFFIC_INSIDE, name), readFileSync(join(TRAFFIC, name))),
    ),
  ].filter(({ path: each }) => !below.has(each));
  const layers = [
    { tar: tarOf(lower), comment: 'libraries' },
    { tar: tarOf(tools, below), comment: 'tools' },
  ];
  for (const [tag, entrypoint] of Object.entries(SAMPLES)) {
    const image = imageOf(
      {
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        user: '0:0',
        entrypoint: [...entrypoint],
        environment: ['PATH=/usr/local/bin:/usr/bin:/bin'],
        labels: {},
        created: 0,
      },
      layers,
      tag,
    );
    yield [tag, image.archive];
  }
}

function entriesOf(bases: readonly Base[]): Entry[] {
  const entries = bases.flatMap((base) => base.entries);
  return [...new Map(entries.map((each) => [each.path, each])).values()];
}

function applets(): string[] {
  const { stdout } = Bun.spawnSync([BUSYBOX, '--list']);
  return stdout
    .toString()
    .trim()
    .split('\n')
    .filter((name) => name !== 'busybox');
}
