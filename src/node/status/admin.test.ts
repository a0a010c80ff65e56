/** The admin port of a node proxy that runs from a static mesh, asked over HTTP as a person would. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { Drain } from '#base/drain.ts';
import { createLogger, LogLevels } from '#base/log.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { CONNECTIONS_SHOWN } from '#telemetry/limits.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { type StaticNode, startStaticNode } from '../static-node.ts';
import type { ConnectionsAnswer } from './connections.ts';
import { statusSource } from './report.ts';
import { type StatusServers, startStatusServers } from './servers.ts';

const TRUST_DOMAIN = 'cluster.local';
const OPEN = 10_000;
const pod = { namespace: 'shop', name: 'web', serviceAccount: 'web' };
const principal = formatPrincipal({ ...pod, trustDomain: TRUST_DOMAIN });
const web = completeWorkload(
  { ...pod, addresses: ['198.18.1.2'], protocol: 'hbone' },
  TRUST_DOMAIN,
);
const db = completeWorkload(
  {
    name: 'db',
    namespace: 'data',
    addresses: ['198.18.1.3'],
    authorizationPolicies: ['data/only-web'],
  },
  TRUST_DOMAIN,
);
const service = completeService({
  name: 'web',
  namespace: 'shop',
  addresses: [{ network: '', address: '198.19.0.5' }],
  ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http' }],
});

let identity: TlsIdentity;
let node: StaticNode;
let servers: StatusServers;
let written = '';

const ask = (path: string, init?: RequestInit) =>
  fetch(`http://127.0.0.1:${servers.ports.admin}${path}`, init);
const connections = async (query = '') =>
  (await (await ask(`/connections${query}`)).json()) as ConnectionsAnswer;

beforeAll(async () => {
  identity = await (await createTestCa()).issue(principal);
  const levels = new LogLevels('debug');
  const write = (text: string) => {
    written += text;
    return true;
  };
  const log = createLogger('node', { clock: systemClock, level: levels, write });
  const ports = { outbound: 0, plaintext: 0, hbone: 0 };
  const files = { certificateFile: '', keyFile: '', rootFile: '' };
  node = startStaticNode(
    {
      trustDomain: TRUST_DOMAIN,
      addresses: [
        { kind: 'workload', workload: web },
        { kind: 'workload', workload: db },
        { kind: 'service', service },
      ],
      authorizations: [
        {
          name: 'only-web',
          namespace: 'data',
          scope: 'workload-selector',
          action: 'allow',
          rules: [],
          dryRun: false,
        },
      ],
      pods: [{ ...pod, listenAddress: '127.0.0.1', ports, identity, ...files }],
    },
    { log, levels, logFormat: 'text', write },
  );
  const drain = new Drain(
    { clock: systemClock, log, parts: () => [] },
    { deadlineMs: 1, successor: false },
  );
  servers = startStatusServers(
    statusSource({
      nodeName: 'node1',
      podName: 'tulle-node1',
      assembly: node.assembly,
      proxies: () => node.proxies,
      xds: undefined,
      drain,
      notReady: () => undefined,
    }),
    { admin: 0, metrics: 0, readiness: 0 },
  );
  const facts = {
    source: { address: '198.18.1.2', port: 40000 },
    sourceIdentity: principal,
    destination: { address: '198.18.1.3', port: 15008 },
    destinationIdentity: undefined,
    hboneAuthority: '198.18.1.3:5432',
    service: undefined,
    requested: undefined,
    mutualTls: true,
  };
  for (let index = 0; index < OPEN; index += 1) {
    const direction = index % 10 === 0 ? 'inbound' : 'outbound';
    const ends = { sourceWorkload: web, destinationWorkload: direction === 'inbound' ? web : db };
    node.assembly.context.telemetry.begin({ ...facts, ...ends, direction });
  }
});

afterAll(() => {
  servers.stop();
  node.stop();
});

describe('/connections', () => {
  test('states how many there are, and shows as many as it may', async () => {
    const answer = await connections();
    expect(answer).toMatchObject({ total: OPEN, matched: OPEN, limit: CONNECTIONS_SHOWN });
    expect(answer.connections).toHaveLength(CONNECTIONS_SHOWN);
    expect(answer.connections[1]).toMatchObject({
      direction: 'outbound',
      pod: 'shop/web',
      source: { workload: 'shop/web', address: '198.18.1.2:40000', identity: principal },
      destination: { workload: 'data/db', address: '198.18.1.3:15008' },
      protocol: 'HBONE',
      mutualTls: true,
    });
    expect((await connections(`?limit=${OPEN}`)).connections).toHaveLength(OPEN);
  });

  test.each([
    ['?direction=inbound', OPEN / 10],
    ['?namespace=data', OPEN - OPEN / 10],
    ['?pod=db', OPEN - OPEN / 10],
    ['?pod=shop/web', OPEN],
    ['?namespace=data&pod=web', 0],
    ['?direction=inbound&pod=db', 0],
  ])('%s leaves %d', async (query, matched) => {
    const answer = await connections(`${query}&limit=5`);
    expect([answer.total, answer.matched]).toEqual([OPEN, matched]);
    expect(answer.connections).toHaveLength(Math.min(matched, 5));
  });

  test.each(['-1', '1.5', 'x', '1e9'])('limit=%s is refused', async (limit) => {
    expect((await ask(`/connections?limit=${limit}`)).status).toBe(400);
  });

  test.each(['direction=sideways', 'ns=shop'])(
    '%s is refused, not answered by nothing',
    async (query) => {
      const answer = await ask(`/connections?${query}`);
      expect(answer.status).toBe(400);
      expect(await answer.text()).toMatch(/: want one of /);
    },
  );
});

describe('admin port', () => {
  test('/config_dump has ztunnel’s members and field names', async () => {
    const dump = (await (await ask('/config_dump')).json()) as Record<string, unknown>;
    expect(dump).toMatchObject({
      workloads: [
        { uid: web.uid, workloadIps: ['198.18.1.2'], protocol: 'HBONE', status: 'Healthy' },
        { uid: db.uid, protocol: 'TCP', authorizationPolicies: ['data/only-web'] },
      ],
      services: [{ hostname: service.hostname, vips: ['/198.19.0.5'], ports: { '80': 8080 } }],
      policies: [
        { name: 'only-web', namespace: 'data', scope: 'WorkloadSelector', action: 'Allow' },
      ],
      certificates: [{ identity: principal, state: 'Available' }],
      workloadState: {
        'shop/web': { state: 'Up', info: { name: 'web', trustDomain: TRUST_DOMAIN } },
      },
      version: { component: 'ztunnel' },
    });
  });

  test('/certs says serial, validity and root of each identity', async () => {
    const { certificates } = (await (await ask('/certs')).json()) as {
      certificates: { certChain: Record<string, string>[]; rootCerts: Record<string, string>[] }[];
    };
    expect(certificates).toHaveLength(1);
    const [{ certChain, rootCerts }] = certificates;
    expect(certChain[0].serialNumber).toMatch(/^[0-9a-f]+$/);
    expect(Date.parse(certChain[0].expirationTime)).toBeGreaterThan(
      Date.parse(certChain[0].validFrom),
    );
    expect(Buffer.from(rootCerts[0].pem, 'base64').toString()).toContain('BEGIN CERTIFICATE');
  });

  test('/logging shows and changes levels as ztunnel’s does', async () => {
    const text = async (method: string, query = '') =>
      (await ask(`/logging${query}`, { method })).text();
    expect(await text('GET')).toBe('current log level is debug\n');
    expect(await text('POST', '?level=warn,access=debug')).toBe(
      'current log level is warn,access=debug\n',
    );
    const refused = await ask('/logging?level=loud', { method: 'POST' });
    expect([refused.status, await refused.text()]).toEqual([
      400,
      expect.stringContaining('Invalid level provided: "loud"'),
    ]);
    expect((await ask('/logging?level=info')).status).toBe(405);
    expect(await text('GET')).toBe('current log level is warn,access=debug\n');
    expect(await text('POST', '?reset')).toBe('current log level is debug\n');
  });

  test('/metrics counts pods and memory; /debug/limits what each pod uses', async () => {
    const metrics = await (await ask('/metrics')).text();
    expect(metrics).toContain('workload_manager_active_proxy_count 1\n');
    expect(metrics).toContain('workload_manager_proxies_started_total 1\n');
    expect(metrics).toMatch(/^process_resident_memory_bytes \d+$/m);
    const limits = await (await ask('/debug/limits')).json();
    expect(limits).toMatchObject({ pods: [{ namespace: 'shop', pod: 'web', bufferedBytes: 0 }] });
  });

  test.each(['127.0.0.1', '[::1]'])(
    'metrics and readiness are there for who comes to %s',
    async (host) => {
      const { metrics, readiness } = servers.ports;
      expect((await fetch(`http://${host}:${metrics}/metrics`)).status).toBe(200);
      expect((await fetch(`http://${host}:${readiness}/healthz/ready`)).status).toBe(200);
    },
  );

  test('/ lists every path and each of them answers', async () => {
    const index = await (await ask('/')).text();
    const paths = index.match(/^\/\S+/gm) ?? [];
    expect(paths).toContain('/healthz');
    for (const path of paths) expect([path, (await ask(path)).status]).toEqual([path, 200]);
  });

  test('no answer and no log line shows a private key', async () => {
    const index = await (await ask('/')).text();
    const answers = await Promise.all(
      (index.match(/^\/\S+/gm) ?? []).map(async (path) => (await ask(path)).text()),
    );
    node.assembly.accessLog.flush();
    const everything = [...answers, written].join('\n');
    expect(written).toContain('connection opened');
    const secret = identity.privateKey.split('\n').find((line) => line.length === 64) ?? '';
    expect(secret).toHaveLength(64);
    for (const shape of [secret, Buffer.from(identity.privateKey).toString('base64').slice(0, 80)])
      expect(everything.includes(shape)).toBe(false);
    expect(everything).not.toContain('PRIVATE KEY');
  });
});
