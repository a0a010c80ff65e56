/**
 * The images that every node has: the pause process, and one with busybox and the test program. Written as docker-archive
 * files (a layer, a configuration, a manifest), which `ctr images import` takes without any registry.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Sandbox of every pod. */
export const PAUSE_IMAGE = 'docker.io/tulle-test/pause:1';
/** For containers of tests: a shell with busybox's programs, and `app` (test/kube/app). */
export const APP_IMAGE = 'docker.io/tulle-test/app:1';
const BUSYBOX = '/bin/busybox';

/** Writes pause.tar and app.tar into `folder`. */
export async function writeImages(folder: string, app: string): Promise<void> {
  const scratch = mkdtempSync(join(folder, 'image-'));
  try {
    const pause = join(scratch, 'pause');
    mkdirSync(pause);
    copyFileSync(app, join(pause, 'app'));
    await packImage(pause, {
      archive: join(folder, 'pause.tar'),
      tags: [PAUSE_IMAGE],
      entrypoint: ['/app', 'pause'],
    });

    const whole = join(scratch, 'app');
    for (const directory of ['bin', 'tmp', 'etc', 'proc', 'sys', 'dev'])
      mkdirSync(join(whole, directory), { recursive: true });
    copyFileSync(app, join(whole, 'bin/app'));
    copyFileSync(BUSYBOX, join(whole, 'bin/busybox'));
    for (const applet of (await output([BUSYBOX, '--list'])).trim().split('\n'))
      if (applet !== 'busybox') symlinkSync('busybox', join(whole, 'bin', applet));
    await packImage(whole, { archive: join(folder, 'app.tar'), tags: [APP_IMAGE] });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

export interface Image {
  archive: string;
  tags: readonly string[];
  entrypoint?: string[];
  /** Default root. */
  user?: string;
}

/** Packs a folder as an image of one layer. */
export async function packImage(
  root: string,
  { archive, tags, entrypoint, user }: Image,
): Promise<void> {
  const work = mkdtempSync(`${root}-archive-`);
  await output(['tar', ...REPEATABLE, '-cf', join(work, 'layer.tar'), '-C', root, '.']);
  const layer = digest(readFileSync(join(work, 'layer.tar')));
  const configuration = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Env: ['PATH=/bin'],
      WorkingDir: '/',
      ...(entrypoint && { Entrypoint: entrypoint }),
      ...(user && { User: user }),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  });
  const name = `${digest(configuration)}.json`;
  mkdirSync(join(work, layer));
  renameSync(join(work, 'layer.tar'), join(work, layer, 'layer.tar'));
  writeFileSync(join(work, name), configuration);
  writeFileSync(
    join(work, 'manifest.json'),
    JSON.stringify([{ Config: name, RepoTags: tags, Layers: [`${layer}/layer.tar`] }]),
  );
  const members = [name, `${layer}/layer.tar`, 'manifest.json'];
  await output(['tar', ...REPEATABLE, '-cf', archive, '-C', work, ...members]);
}

const REPEATABLE = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];

const digest = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function output(words: string[]): Promise<string> {
  const child = Bun.spawn(words, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const [text, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${words.slice(0, 3).join(' ')}: ${errors}`);
  return text;
}
