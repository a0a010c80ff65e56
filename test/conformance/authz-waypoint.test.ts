/**
 * Authorization cases of Istio through a waypoint process: the objects through the control plane's derivations, the request over HBONE.
 * Policies with a selector are bound to the waypoint instead, where the case is not about a waypoint already. Runs where the cases are.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import type { RouteTable } from '#model/route/route-table.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { TlsIdentity } from '#net/connection.ts';
import {
  type AuthzCase,
  authzCases,
  meshFrom,
  objectsIn,
  podOf,
  waypointFor,
} from '#test/support/authz-cases.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { destinationAt, toward } from '#test/support/gateway-rig.ts';
import {
  freePort,
  type GuardedProcess,
  startGuarded,
  untilListening,
} from '#test/support/guarded-process.ts';
import { ROOT } from '#test/support/lab.ts';
import { route } from '#test/support/waypoint-rig.ts';

const WAYPOINT = 'spiffe://cluster.local/ns/ns1/sa/waypoint';
const all = authzCases();
/** Addresses of a case are not those of a loopback. */
const isAbout = (text: string) =>
  /source\.ip|remote\.ip|ipBlocks|IpBlocks|destination\.ip/.test(text);
const rows = (all ?? []).filter(({ request, enforcedAt, policies }) => {
  const isOurs = enforcedAt.includes('waypoint') && request.sourcePrincipal !== null;
  if (!isOurs || request.protocol === 'grpc' || isAbout(policies)) return false;
  // No external authorizer is asked: refused with the policy's name, which other tests hold.
  return !policies.includes('action: CUSTOM');
});

interface Policy {
  kind: string;
  metadata: { namespace: string };
  spec?: { selector?: { matchLabels?: Record<string, string> }; targetRefs?: object[] };
}

/** What sidecars are told by selector, told to the waypoint. */
function bound(row: AuthzCase): object[] {
  const { namespace, labels } = row.destination;
  const policies = objectsIn(row.policies) as Policy[];
  if (row.enforcedAt !== 'sidecar-or-waypoint') return policies;
  return policies.flatMap((policy) => {
    const { selector, ...spec } = policy.spec ?? {};
    const wanted = Object.entries(selector?.matchLabels ?? {});
    const isRoot = policy.metadata.namespace === 'istio-system';
    const reaches = isRoot || policy.metadata.namespace === namespace;
    if (!reaches || !wanted.every(([name, value]) => labels[name] === value)) return [];
    const target = isRoot
      ? { kind: 'GatewayClass', name: 'istio-waypoint' }
      : { kind: 'Gateway', name: 'waypoint' };
    const group = 'gateway.networking.k8s.io';
    return { ...policy, spec: { ...spec, targetRefs: [{ group, ...target }] } };
  });
}

/** One table for each case, under a name of its own. */
function tableOf(row: AuthzCase, index: number): RouteTable {
  const { destPort: port, protocol } = row.request;
  const appProtocol = protocol === 'tcp' ? 'tcp' : 'http';
  const mesh = meshFrom([...bound(row), podOf(row), ...waypointFor(row, { port, appProtocol })]);
  const { namespace, name } = row.destination;
  const table = mesh.routeTables.get(`${namespace}/${name}.${namespace}.svc.cluster.local`)?.table;
  if (table === undefined) throw new Error('the service is not bound to the waypoint');
  const routes = [route('all', [toward('app')])];
  const ports = [{ port, protocol: appProtocol, routes } as const];
  return { ...table, hostname: `row-${index}.test`, addresses: [], ports };
}

describe.skipIf(all === undefined)('authorization cases at a waypoint process', () => {
  let process: GuardedProcess;
  let folder: string;
  let hbone: number;
  let app: Bun.TCPSocketListener<undefined>;
  let ca: Awaited<ReturnType<typeof createTestCa>>;
  const network = new BunNetwork({ clock: systemClock });
  const identities = new Map<string, TlsIdentity>();
  const pool = new TunnelPool({
    network,
    clock: systemClock,
    identities: { get: (principal) => identities.get(principal) },
  });

  beforeAll(async () => {
    // Answers whatever comes: requests and bytes alike.
    app = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
      },
    });
    ca = await createTestCa();
    for (const { request } of rows) {
      const principal = request.sourcePrincipal ?? '';
      if (!identities.has(principal)) identities.set(principal, await ca.issue(principal));
    }
    folder = mkdtempSync(join(tmpdir(), 'tulle-authz-'));
    const own = await ca.issue(WAYPOINT);
    const file = (name: string, text: string) => {
      const path = join(folder, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    hbone = await freePort();
    const tables = rows.map(tableOf);
    const config = {
      listen: { address: '127.0.0.1', port: hbone },
      hbone: {
        principal: WAYPOINT,
        certificateFile: file('cert.pem', own.certificateChain),
        keyFile: file('key.pem', own.privateKey),
        rootFile: file('root.pem', own.trustBundle),
      },
      service: `${tables[0].namespace}/${tables[0].hostname}`,
      port: tables[0].ports[0].port,
      tables,
      upstreams: [destinationAt('app', app.port)],
    };
    const path = file('waypoint.json', JSON.stringify(config));
    process = await startGuarded([join(ROOT, 'tulle'), 'role', 'waypoint', '--static', path]);
    await untilListening(hbone);
  });

  afterAll(async () => {
    pool.close();
    await process?.[Symbol.asyncDispose]();
    app?.stop(true);
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** The first bytes of the answer; empty: the connection ended without. */
  function ask(row: AuthzCase, index: number): Promise<string> {
    const { sourcePrincipal, destPort, method = 'GET', path = '/', host, headers } = row.request;
    const source = parsePrincipal(sourcePrincipal ?? '');
    const expected = parsePrincipal(WAYPOINT);
    if (source === undefined || expected === undefined) throw new Error('no identity');
    const fields = Object.entries({ host: host ?? 'b', connection: 'close', ...headers });
    const lines = [
      `${method} ${path} HTTP/1.1`,
      ...fields.map(([name, value]) => `${name}: ${value}`),
    ];
    const head = {
      authority: `row-${index}.test:${destPort}`,
      baggage: '',
      forwarded: '',
      traceparent: '',
    };
    return new Promise((resolve) => {
      pool.open(
        {
          source,
          expected: [expected],
          destination: { address: '127.0.0.1', port: hbone },
          sourceAddress: '127.0.0.1',
          client: { address: '127.0.0.1', port: 0 },
          namespace: undefined,
          head,
        },
        {
          onFail: (error) => resolve(`no tunnel: ${error.message}`),
          onOpen(connection) {
            queueMicrotask(() => connection.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)));
            return {
              onData: (bytes) => resolve(Buffer.from(bytes).toString()),
              onDrain: () => undefined,
              onEnd: () => resolve(''),
              onClose: () => resolve(''),
            };
          },
        },
      );
    });
  }

  test('there are some, that allow and that deny', () => {
    for (const verdict of ['allow', 'deny'])
      expect(rows.filter(({ expect: want }) => want === verdict).length).toBeGreaterThan(10);
  });

  test.each(rows.map((row, index) => [row.id, row.name, row, index] as const))(
    '%s %s',
    async (_id, _name, row, index) => {
      const answer = await ask(row, index);
      const status = answer === '' ? 'reset' : Number(answer.split(' ')[1]);
      const isBytes = row.request.protocol === 'tcp';
      const denied = isBytes ? 'reset' : (row.expectStatus ?? 403);
      expect(status).toBe(row.expect === 'allow' ? (row.expectStatus ?? 200) : denied);
      if (status === 403) expect(answer).toContain('RBAC: access denied: ');
    },
  );
});
