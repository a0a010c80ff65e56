import { describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { MeshAnswer } from '#console/api/mesh.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { caughtWorkers } from '#test/support/workers.ts';
import { startControl } from './main.ts';
import { LEADS_HEADER, STREAMS_PATH } from './observe/peers.ts';
import { parseControlOptions } from './options.ts';

const PORTS = ['discovery', 'monitoring', 'console'].map((name) => `--${name}-listen=127.0.0.1:0`);

function options(...more: string[]) {
  const parsed = parseControlOptions([...PORTS, ...more], { POD_NAME: 'istiod-1' });
  if (parsed === undefined) throw new Error('help was not asked for');
  return parsed;
}

describe('startControl', () => {
  test('becomes ready, leads, makes a root for every namespace and answers on its ports', async () => {
    const client = new FakeKubeClient();
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
    await client.create(RESOURCES.namespaces, namespace);
    const deps = {
      client,
      asReader: () => client,
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
    };
    const control = await startControl(deps, options());
    const get = (port: number | undefined, path: string) =>
      fetch(`http://127.0.0.1:${port}${path}`);
    const { monitoring, console } = control.ports;
    expect(control.ports.discovery).toBeGreaterThan(0);
    expect((await get(monitoring, '/ready')).status).toBe(200);
    expect(await (await get(monitoring, '/metrics')).text()).toContain('pilot_services 0');
    expect((await get(monitoring, '/else')).status).toBe(404);
    const status = (await (await get(console, '/api/v1/status')).json()) as object;
    const overview = await (await get(console, '/api/v1/overview')).json();
    expect(overview).toMatchObject({ namespaces: [{ name: 'shop', isEnrolled: false }] });
    const graphed = await (await get(console, '/api/v1/graph')).json();
    expect(graphed).toMatchObject({ nodes: [], diagnosis: { steps: expect.any(Array) } });
    expect(status).toMatchObject({
      control: { ready: true, leader: true, pod: 'istiod-1' },
      proxies: [],
    });
    const id = 'configmaps|shop|istio-ca-root-cert';
    // Leadership is its own task; the test's time limit ends a wait in vain.
    while (!client.objects.has(id)) await Bun.sleep(1);
    const told = await get(monitoring, STREAMS_PATH);
    expect([await told.json(), told.headers.get(LEADS_HEADER)]).toEqual([[], 'true']);
    const root = client.objects.get(id);
    expect(JSON.stringify(root)).toContain('BEGIN CERTIFICATE');
    await client.get(RESOURCES.secrets, { namespace: 'istio-system', name: 'istio-ca-secret' });
    await control.stop();
    expect(client.watching).toBe(0);
  });
});

describe('startControl, when the thread of its console dies', () => {
  test('serves the mesh as before, counts it, and has a console again', async () => {
    using workers = caughtWorkers();
    const client = new FakeKubeClient();
    const deps = {
      client,
      asReader: () => client,
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
    };
    const control = await startControl(deps, options());
    const { discovery, monitoring, console } = control.ports;
    const get = (port: number | undefined, path: string) =>
      fetch(`http://127.0.0.1:${port}${path}`);
    const until = async (is: () => Promise<boolean>) => {
      while (!(await is())) await Bun.sleep(20);
    };
    const deaths = async () =>
      /tulle_console_thread_deaths_total (\d+)/.exec(
        await (await get(monitoring, '/metrics')).text(),
      )?.[1];
    const graph = async () => (await get(console, '/api/v1/graph')).status;
    expect([await deaths(), await graph()]).toEqual(['0', 200]);
    workers.all[0].terminate();
    await until(async () => (await deaths()) === '1');
    // Until another one runs, which may be at once on a slow machine.
    expect([200, 503]).toContain(await graph());
    expect((await get(monitoring, '/ready')).status).toBe(200);
    // The port of discovery and certificates takes connections.
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: discovery,
      socket: { data: () => undefined },
    });
    socket.end();
    await until(async () => (await graph()) === 200);
    const { store } = (await (await get(console, '/api/v1/mesh')).json()) as MeshAnswer;
    expect(store.problem).toContain('was started again');
    expect(workers.all).toHaveLength(2);
    await control.stop();
  }, 120_000);
});

describe('parseControlOptions', () => {
  test.each([
    [['--console-listen=nowhere'], '--console-listen nowhere is not HOST:PORT'],
    [['--console-listen=h:99999'], 'is not HOST:PORT'],
    [['--log-level=loud'], '--log-level loud'],
    [['--what'], '--what'],
    [['--console-guests=all'], '--console-guests all is neither read nor write'],
    [
      ['--console-open-to=everyone'],
      '--console-open-to everyone is neither loopback nor an address',
    ],
    [['--prometheus-url=prometheus:9090'], '--prometheus-url prometheus:9090 is no http'],
    [['--prometheus-url=http://u:p@prometheus'], 'without user and query'],
    [['--prometheus-match=cluster=eu'], '--prometheus-match cluster=eu is no list'],
    [['--prometheus-match=a="b"} or up{c="d"'], 'is no list of label matchers'],
    [['--revision=1.30'], '--revision 1.30 is no DNS label'],
  ])('refuses %p', (argv, message) => {
    expect(() => parseControlOptions(argv, {})).toThrow(message);
  });

  test('listens for both families of addresses where nobody says otherwise', () => {
    const parsed = parseControlOptions([], {});
    expect(parsed).toMatchObject({
      discovery: { hostname: '::', port: 15012 },
      monitoring: { hostname: '::', port: 15014 },
      webhook: { hostname: '::', port: 15017 },
      console: { hostname: '::', port: 20001 },
    });
  });

  test('reads addresses, IPv6 as well, and turns the console off', () => {
    const parsed = options('--discovery-listen=[::1]:15012', '--console-listen=off');
    expect(parsed.discovery).toEqual({ hostname: '::1', port: 15012 });
    expect(parsed.console).toBeUndefined();
    expect(parsed.consoleAccess).toEqual({
      openTo: ['loopback'],
      guests: 'read',
      isReadOnly: false,
      hosts: [],
      namespace: 'istio-system',
    });
    const named = options('--console-open-to=none', '--console-host=Mesh.example.com,b');
    expect(named.consoleAccess).toMatchObject({ openTo: [], hosts: ['mesh.example.com', 'b'] });
    const isReadOnly = (...flags: string[]) => options(...flags).consoleAccess.isReadOnly;
    expect(isReadOnly('--console-read-only')).toBe(true);
    expect(isReadOnly('--console-read-only=true')).toBe(true);
    expect(isReadOnly('--console-read-only=false')).toBe(false);
    expect(() => options('--console-read-only=no')).toThrow('console-read-only');
    expect(named.prometheus).toBeUndefined();
    const prometheus = options(
      '--prometheus-url=http://prometheus.monitoring:9090/base',
      '--prometheus-match=cluster="eu-1",env!~"te\\"st|dev"',
    );
    expect(prometheus.prometheus).toEqual({
      url: 'http://prometheus.monitoring:9090/base',
      match: 'cluster="eu-1",env!~"te\\"st|dev"',
    });
    expect(parseControlOptions(['--help'], {})).toBeUndefined();
  });
});
