/**
 * The image as a container runtime would run it: only its files, a read-only root, the user it names. There is no engine: a mount
 * namespace and chroot do it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CNI_PLUGIN } from '#cni/config.ts';
import { CNI_VERSIONS } from '#cni/protocol.ts';
import { loadCrds } from '#crds/crd-cache.ts';
import { freePort, startGuarded } from '#test/support/guarded-process.ts';
import { eventually, missingFor, ROOT, run } from '#test/support/lab.ts';
import manifest from '../../package.json';

const PROGRAMS = ['unshare', 'chroot', 'tar', 'ldd', 'dpkg-query'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;

/** ROOT, USER, then the command: in a mount namespace of its own, with the few devices and the /proc that runtimes give. */
const ENTER = `
set -e
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for name in null zero random urandom; do touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
mount --bind "$root.tmp" "$root/tmp"
mount -o remount,ro,bind "$root"
exec env -i $TULLE_ENV "$(command -v chroot)" --userspec="$user" "$root" "$@"
`;

interface Config {
  config: { User: string; Entrypoint: string[]; Env: string[] };
}

describe.skipIf(skip)('the image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-image-'));
  const root = join(folder, 'root');
  const temporary = `${root}.tmp`;
  const archive = join(folder, 'tulle.tar');
  let config: Config['config'];

  const entered = (words: readonly string[], environment: readonly string[] = []): string[] => [
    ...['env', `TULLE_ENV=${[...config.Env, ...environment].join(' ')}`, 'unshare', '--mount'],
    ...['sh', '-c', ENTER, 'sh', root, config.User, ...words],
  ];
  const inside = (words: readonly string[]) => entered([...config.Entrypoint, ...words]);

  beforeAll(async () => {
    const built = await run(['node', 'tools/run.mjs', 'image', '--out', archive], { cwd: ROOT });
    expect(built).toMatchObject({ status: 0, stderr: '' });
    await run(['tar', '-xf', archive], { cwd: folder });
    const read = <T>(path: string) => JSON.parse(readFileSync(join(folder, path), 'utf8')) as T;
    const [image] = read<{ Config: string; Layers: string[] }[]>('manifest.json');
    ({ config } = read<Config>(image.Config));
    mkdirSync(root);
    for (const layer of image.Layers)
      await run(['tar', '-xzpf', join(folder, layer)], { cwd: root });
    mkdirSync(join(root, 'proc'));
    mkdirSync(join(root, 'dev'));
    mkdirSync(temporary);
    chmodSync(temporary, 0o1777);
    writeFileSync(join(temporary, 'mesh.json'), '{"pods":[]}');
  }, 60_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is the same byte by byte when it is compiled anew, in another place', async () => {
    const again = join(folder, 'again.tar');
    const env = { HOME: join(folder, 'home') };
    const built = await run(['node', 'tools/run.mjs', 'image', '--out', again], { env });
    expect(built).toMatchObject({ status: 0, stderr: '' });
    expect(Bun.hash(readFileSync(again))).toBe(Bun.hash(readFileSync(archive)));
  });

  test('has one program and no shell', () => {
    const folders = /^(usr\/(local\/)?)?s?bin\//;
    const programs = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
      folders.test(path),
    );
    expect(programs).toEqual(['usr/local/bin/tulle']);
  });

  test('says its version', async () => {
    const said = await run(inside(['version']));
    expect(said).toEqual({
      status: 0,
      stdout: `tulle ${manifest.version} (Bun ${manifest.dependencies.bun})\n`,
      stderr: '',
    });
  });

  test.each(['control', 'node', 'waypoint', 'gateway', 'apiserver'])(
    'runs role %s as the user nonroot',
    async (role) => {
      const said = await run(inside(['role', role, '--help']));
      expect(said).toMatchObject({ status: 0, stderr: '' });
      expect(said.stdout).toContain('tulle role ');
    },
  );

  test('is the CNI plugin under its name', async () => {
    linkSync(join(root, config.Entrypoint[0]), join(temporary, CNI_PLUGIN));
    const said = await run(entered([`/tmp/${CNI_PLUGIN}`], ['CNI_COMMAND=VERSION']));
    expect(said).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(said.stdout)).toMatchObject({ supportedVersions: CNI_VERSIONS });
  });

  test('starts a node proxy with a data worker', async () => {
    const ports = [await freePort(), await freePort(), await freePort()];
    const [admin, metrics, readiness] = ports.map(String);
    await using _ = await startGuarded(
      inside([
        ...['role', 'node', '--static', '/tmp/mesh.json', '--workers', '1'],
        ...['--admin-port', admin, '--metrics-port', metrics, '--readiness-port', readiness],
      ]),
    );
    // Each thread counts its own build: one that could not load its module would be missing.
    await eventually('both threads to report', async () => {
      const answer = await fetch(`http://127.0.0.1:${metrics}/metrics`).catch(() => undefined);
      return (await answer?.text())?.match(/^istio_build\{.*\} 2$/m) ?? undefined;
    });
  });

  test('serves the custom resources and the built-in kinds', async () => {
    const port = await freePort();
    await using _ = await startGuarded(
      inside(['role', 'apiserver', '--data-dir', '/tmp/state', '--listen', `127.0.0.1:${port}`]),
    );
    const token = () => readFileSync(join(temporary, 'state/admin.token'), 'utf8').trim();
    const ask = async (path: string, body?: object) =>
      fetch(`https://127.0.0.1:${port}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${token()}`, 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
        tls: { rejectUnauthorized: false },
      });
    const crds = await eventually('the API server to answer', async () => {
      const answer = await ask('/apis/apiextensions.k8s.io/v1/customresourcedefinitions').catch(
        () => undefined,
      );
      return answer?.ok ? ((await answer.json()) as { items: object[] }) : undefined;
    });
    expect(crds.items.length).toBe(loadCrds().length);
    const metadata = { name: 'image' };
    const refused = await ask('/api/v1/namespaces/default/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: { number: 1 },
    });
    expect(await refused.text()).toContain('data.number');
  });
});
