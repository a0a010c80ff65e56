/** The plugin as a process, against an agent on a real socket. */
import { afterEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '../..');
const folder = mkdtempSync(join(tmpdir(), 'tulle-cni-'));
const agentSocket = join(folder, 'cni.sock');
let server: Bun.Server<undefined> | undefined;
afterEach(async () => {
  await server?.stop(true);
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function add() {
  const child = Bun.spawn([process.execPath, 'src/cli/main.ts', 'role', 'cni'], {
    cwd: ROOT,
    env: {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: '/run/netns/cni-1',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/opt/cni/bin',
      CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u1',
    },
    stdin: Buffer.from(
      JSON.stringify({
        cniVersion: '1.0.0',
        name: 'pods',
        type: 'tulle-cni',
        agentSocket,
        excludeNamespaces: [],
        prevResult: { cniVersion: '1.0.0', ips: [] },
      }),
    ),
  });
  const stdout = await child.stdout.text();
  return { exitStatus: await child.exited, answer: JSON.parse(stdout) };
}

test('an agent that comes late is waited for; one that never comes fails the pod', async () => {
  expect(await add()).toMatchObject({ exitStatus: 1, answer: { code: 11 } });
  const asked: unknown[] = [];
  const late = add();
  await Bun.sleep(0);
  server = Bun.serve({
    unix: agentSocket,
    async fetch(request) {
      asked.push([new URL(request.url).pathname, await request.json()]);
      return Response.json({ captured: true, reason: 'labelled' });
    },
  });
  expect(await late).toEqual({ exitStatus: 0, answer: { cniVersion: '1.0.0', ips: [] } });
  expect(asked).toEqual([
    [
      '/cmdadd',
      { podNamespace: 'shop', podName: 'web-0', podUid: 'u1', netns: '/run/netns/cni-1' },
    ],
  ]);
});

test('what the agent says is in the error', async () => {
  Bun.spawnSync(['mkdir', '-p', folder]);
  server = Bun.serve({
    unix: agentSocket,
    fetch: () => Response.json({ error: 'no namespace', hint: 'look there' }, { status: 500 }),
  });
  const { exitStatus, answer } = await add();
  expect(exitStatus).toBe(1);
  expect(answer.msg).toContain('no namespace');
  expect(answer.details).toBe('look there');
});
