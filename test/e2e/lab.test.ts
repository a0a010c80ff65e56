/**
 * The lab without the mesh, end to end with the real kubectl: pods, services, names, probes, restarts; and every way
 * of ending it leaves no process, namespace, mount or rule behind.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';

const HOME = mkdtempSync(join(tmpdir(), 'tulle-lab-e2e-'));
const LAUNCHER = join(import.meta.dir, '..', '..', 'src', 'lab', 'launcher.ts');
const KUBECONFIG = join(HOME, 'lab', 'kubeconfig');
const SCRIPT = join(HOME, 'run.ts');
const START_MS = 60_000;
const available =
  process.getuid?.() === 0 && Bun.which('kubectl') !== null && Bun.which('nft') !== null;
if (!available) {
  if (process.env.CI) throw new Error('lab.test needs root, kubectl and nft, and CI must run it');
  process.stderr.write('SKIPPED: lab.test needs root, kubectl and nft\n');
}

const MANIFEST = `
apiVersion: v1
kind: Service
metadata: { name: api }
spec: { selector: { app: api }, ports: [{ name: http, port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Service
metadata: { name: empty }
spec: { selector: { app: nobody }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec:
  replicas: 2
  selector: { matchLabels: { app: api } }
  template:
    metadata: { labels: { app: api } }
    spec:
      containers:
        - name: app
          image: tulle/sample-http
          ports: [{ name: http, containerPort: 8080 }]
          env: [{ name: VERSION, value: v1 }]
          readinessProbe: { httpGet: { path: /_sample/ready, port: http } }
---
apiVersion: v1
kind: Pod
metadata: { name: shell }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: sh, image: host, command: [sh, -c, "echo hello; sleep infinity"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: stranger }
spec: { containers: [{ name: app, image: "nginx:1.27" }] }
`;

/** What the lab could leave on the host. */
function traces() {
  const namespaces = Bun.spawnSync(['ip', 'netns', 'list']).stdout.toString();
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length;
  const rules = Bun.spawnSync(['nft', 'list', 'ruleset']).stdout.toString();
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/environ`, 'utf8').includes(`TULLE_HOME=${HOME}`);
      } catch {
        // Gone while we looked.
        return false;
      }
    });
  return { namespaces, mounts, rules, processes };
}

function spawnLab(detach: boolean) {
  return Bun.spawn([process.execPath, SCRIPT, String(detach)], {
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, TULLE_HOME: HOME },
  });
}

async function down(): Promise<void> {
  const code = `import { labDown } from ${JSON.stringify(LAUNCHER)}; await labDown();`;
  const child = Bun.spawn([process.execPath, '-e', code], {
    env: { ...process.env, TULLE_HOME: HOME },
    stdout: 'inherit',
  });
  expect(await child.exited).toBe(0);
}

async function kubectl(...words: string[]): Promise<{ status: number; text: string }> {
  const child = Bun.spawn(['kubectl', '--kubeconfig', KUBECONFIG, ...words], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, text: out + err };
}

async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = systemClock.now() + timeoutMs;
  while (!(await condition())) {
    if (systemClock.now() > deadline) throw new Error(`not in ${timeoutMs} ms: ${what}`);
    await new Promise<void>((resolve) => systemClock.after(50, resolve));
  }
}

const before = available ? traces() : undefined;
writeFileSync(
  SCRIPT,
  `import { labUp } from ${JSON.stringify(LAUNCHER)};
await labUp({ mesh: false, consolePort: 0, detach: process.argv[2] === 'true' });`,
);
afterAll(() => rmSync(HOME, { recursive: true, force: true }));

describe.skipIf(!available)('a running lab', () => {
  beforeAll(async () => {
    expect(await spawnLab(true).exited).toBe(0);
    const file = join(HOME, 'app.yaml');
    writeFileSync(file, MANIFEST);
    expect(await kubectl('apply', '-f', file)).toMatchObject({ status: 0 });
    expect(await kubectl('rollout', 'status', 'deploy/api', '--timeout=60s')).toMatchObject({
      status: 0,
    });
    expect(
      await kubectl('wait', 'pod/shell', '--for=condition=Ready', '--timeout=60s'),
    ).toMatchObject({ status: 0 });
  }, START_MS);
  afterAll(down, START_MS);
  const shell = (command: string) => kubectl('exec', 'shell', '--', 'sh', '-c', command);

  test('a service is reached by name through its address, and sees the pod as its client', async () => {
    const { text } = await shell('curl -s -m 5 http://api/; hostname -I');
    const [body, own] = text.split('\n');
    expect(JSON.parse(body)).toMatchObject({ version: 'v1', remoteAddress: own.trim() });
  });

  test('names outside the zone do not exist, and a service without endpoints refuses at once', async () => {
    expect((await shell('getent hosts example.test')).status).toBe(2);
    expect((await shell('curl -s -m 5 http://empty/')).status).toBe(7);
  });

  test('exec passes the exit status, logs have the output', async () => {
    expect((await shell('exit 7')).status).toBe(7);
    expect((await kubectl('logs', 'shell')).text).toBe('hello\n');
  });

  test('an image that the lab does not have is named with what to use instead', async () => {
    const { text } = await kubectl(
      'get',
      'pod',
      'stranger',
      '-o',
      'jsonpath={.status.containerStatuses[0].state.waiting.message}',
    );
    expect(text).toContain('no image "nginx:1.27"');
    expect(text).toContain('"host"');
  });

  test('a killed container is started again at once and counted', async () => {
    const name = (
      await kubectl('get', 'pods', '-l', 'app=api', '-o', 'jsonpath={.items[0].metadata.name}')
    ).text;
    await kubectl(
      'exec',
      name,
      '--',
      'sh',
      '-c',
      'kill -9 $(ss -Hltnp sport = :8080 | grep -o "pid=[0-9]*" | cut -d= -f2)',
    );
    const status = async () => (await kubectl('get', 'pod', name, '--no-headers')).text;
    await until('one restart, ready again', async () => /1\/1\s+Running\s+1 /.test(await status()));
  });

  test('a second start is refused and names the first', async () => {
    const second = spawnLab(true);
    const text = await new Response(second.stderr).text();
    expect(text).toContain('running already');
    expect(await second.exited).not.toBe(0);
  });

  test('scaling down takes the endpoint away', async () => {
    await kubectl('scale', 'deploy/api', '--replicas=1');
    await until('one endpoint', async () => {
      const path = 'jsonpath={.items[*].endpoints[*].addresses[0]}';
      const { text } = await kubectl(
        'get',
        'endpointslices',
        '-l',
        'kubernetes.io/service-name=api',
        '-o',
        path,
      );
      return text.trim().split(/\s+/).length === 1;
    });
    expect((await shell('curl -s -m 5 http://api/')).status).toBe(0);
  });
});

describe.skipIf(!available)('nothing is left', () => {
  test('after lab down', () => expect(traces()).toEqual(before!));

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    test(
      `after ${signal} to the launcher`,
      async () => {
        const lab = spawnLab(false);
        const reader = lab.stdout.getReader();
        const decoder = new TextDecoder();
        let text = '';
        while (!text.includes('Ctrl-C')) {
          const { done, value } = await reader.read();
          if (done) throw new Error(`the lab ended: ${await new Response(lab.stderr).text()}`);
          text += decoder.decode(value);
        }
        lab.kill(signal);
        await lab.exited;
        await until('no process is left', () => traces().processes.length === 0);
        expect(traces()).toEqual(before!);
        // What a kill -9 leaves in the state directory the next start sweeps.
        await down();
        expect(readdirSync(join(HOME, 'lab'))).toEqual(['lab.log']);
      },
      START_MS,
    );
  }
});
