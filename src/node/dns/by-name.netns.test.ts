/**
 * A captured pod that dials the address of a ServiceEntry whose endpoints are known by name only: the proxy looks the
 * name up on its own network, and connects from the pod's. Needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import { BunDatagrams } from '#net/bun/bun-datagrams.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { BoundDatagrams } from '#net/datagram.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { missingFor } from '#test/support/lab.ts';
import { join, TestNamespace } from '#test/support/namespaces.ts';
import { CLASS_IN, RCODE, TYPE } from '#wire/dns/codes.ts';
import { answerTo, decodeMessage, encodeMessage } from '#wire/dns/message.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { type StaticNode, startStaticNode } from '../static-node.ts';

const POD = '198.18.241.2';
const APP = '198.18.241.3';
const VIP = '198.19.0.3';
/** Loopback, as the name server of this process itself. */
const NAME_SERVER = '127.53.241.1';
const skip = missingFor({ programs: ['ip', 'nft'], root: true }) !== undefined;

describe.skipIf(skip)('endpoints that are known by name only', () => {
  const network = new BunNetwork({ clock: systemClock });
  let pod: TestNamespace;
  let app: TestNamespace;
  let node: StaticNode;
  let server: BoundDatagrams;
  let directory: string;
  let log = '';
  const asked: string[] = [];

  beforeAll(async () => {
    pod = new TestNamespace('pod');
    app = new TestNamespace('app');
    join(
      { namespace: pod, device: 'eth0', addresses: [`${POD}/24`] },
      { namespace: app, device: 'eth0', addresses: [`${APP}/24`] },
    );
    pod.ip('route', 'add', 'default', 'via', APP);
    network.listen({ address: APP, port: 8080, namespace: app.handle }, (connection) => {
      connection.write(Buffer.from(`hello ${connection.remoteAddress}`));
      connection.end();
      return {
        onData: () => undefined,
        onDrain: () => undefined,
        onEnd: () => undefined,
        onClose: () => undefined,
      };
    });
    server = new BunDatagrams().bind(
      { address: NAME_SERVER, port: 53 },
      {
        onDatagram(bytes, from) {
          const query = decodeMessage(bytes);
          if (typeof query === 'number') return;
          const [{ name, type }] = query.questions;
          asked.push(`${name} ${type}`);
          const known = name === 'far.example.net';
          const rcode = known ? RCODE.noError : RCODE.nameError;
          const empty = answerTo(query, { rcode, authoritative: false, payloadBytes: 512 });
          const answers = [
            {
              name,
              type,
              class: CLASS_IN,
              ttlSeconds: 60,
              value: { kind: 'address' as const, address: APP },
            },
          ];
          const reply = known && type === TYPE.A ? { ...empty, answers } : empty;
          server.send(encodeMessage(reply, 512), from);
        },
        onError: () => undefined,
      },
    );
    directory = mkdtempSync(joinPath(tmpdir(), 'tulle-names-'));
    const resolvConf = joinPath(directory, 'resolv.conf');
    writeFileSync(resolvConf, `nameserver ${NAME_SERVER}\n`);
    const authority = await createTestCa();
    const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' };
    const machine = { ...identity, serviceAccount: 'machine' };
    const workload = (more: Parameters<typeof completeWorkload>[0]) => ({
      kind: 'workload' as const,
      workload: completeWorkload(more, 'cluster.local'),
    });
    const endpoint = (hostname: string, servicePort: number, more = {}) =>
      workload({
        ...more,
        uid: `Kubernetes/networking.istio.io/ServiceEntry/shop/far/${hostname}`,
        name: hostname,
        namespace: 'shop',
        hostname,
        services: { 'shop/far.example.com': [{ servicePort, targetPort: 8080 }] },
      });
    node = startStaticNode(
      {
        trustDomain: 'cluster.local',
        addresses: [
          workload({ name: 'web', namespace: 'shop', serviceAccount: 'web', addresses: [POD] }),
          endpoint('far.example.net', 80),
          endpoint('nowhere.example.net', 81),
          workload({ ...machine, name: 'machine', addresses: [APP] }),
          endpoint('Far.example.net', 82, { serviceAccount: 'machine', protocol: 'hbone' }),
          {
            kind: 'service',
            service: completeService({
              name: 'far',
              namespace: 'shop',
              hostname: 'far.example.com',
              addresses: [{ network: '', address: VIP }],
            }),
          },
        ],
        authorizations: [],
        pods: [
          {
            ...identity,
            name: 'web',
            netns: pod.path,
            listenAddress: '0.0.0.0',
            certificateFile: '',
            keyFile: '',
            rootFile: '',
            identity: await authority.issue(formatPrincipal(identity)),
          },
          {
            ...machine,
            name: 'machine',
            netns: app.path,
            listenAddress: '0.0.0.0',
            certificateFile: '',
            keyFile: '',
            rootFile: '',
            identity: await authority.issue(formatPrincipal(machine)),
          },
        ],
      },
      {
        log: silentLogger,
        logFormat: 'text',
        dns: { resolvConf },
        write(text) {
          log += text;
          return true;
        },
      },
    );
    redirectOnce(pod.path, { ...DEFAULT_RULES, dns: true });
  });

  afterAll(() => {
    node?.stop();
    server?.close();
    pod?.[Symbol.dispose]();
    app?.[Symbol.dispose]();
    if (directory !== undefined) rmSync(directory, { recursive: true });
  });

  /** What the pod reads from a port of the address, and how it ends. */
  function dial(port: number): Promise<{ text: string; code: string | undefined }> {
    const over = Promise.withResolvers<{ text: string; code: string | undefined }>();
    let text = '';
    network.connect(
      { address: VIP, port, namespace: pod.handle, connectTimeoutMs: 5000 },
      {
        onFail: over.reject,
        onOpen: (connection) => ({
          onData: (bytes) => {
            text += Buffer.from(bytes).toString();
          },
          onDrain: () => undefined,
          onEnd: () => connection.end(),
          onClose: (error) => over.resolve({ text, code: error?.code }),
        }),
      },
    );
    return over.promise;
  }

  async function logLine(words: string): Promise<string> {
    for (;;) {
      node.assembly.accessLog.flush();
      const line = log.split('\n').find((each) => each.includes(words));
      if (line !== undefined) return line;
      await Bun.sleep(1);
    }
  }

  test('are looked up once, dialled from the pod, logged and counted', async () => {
    expect(await dial(80)).toEqual({ text: `hello ${POD}`, code: undefined });
    expect(await dial(80)).toEqual({ text: `hello ${POD}`, code: undefined });
    expect(asked.sort()).toEqual(['far.example.net 1', 'far.example.net 28']);
    const line = await logLine(`dst.addr=${APP}:8080`);
    expect(line).toContain('dst.service="far.example.com" dst.workload="far.example.net"');
    expect(node.assembly.registry.expose()).toContain(
      'istio_on_demand_dns_total{source_workload="web",source_canonical_service="web",source_canonical_revision="latest",source_workload_namespace="shop",source_principal="spiffe://cluster.local/ns/shop/sa/web",source_app="web",source_version="latest",source_cluster="Kubernetes",hostname="far.example.net"} 2',
    );
  });

  test('whose name does not exist are refused, and the log says which name', async () => {
    expect((await dial(81)).code).toBe('NET_RESET');
    const line = await logLine('nowhere.example.net');
    expect(line).toContain('cannot resolve nowhere.example.net: no such name');
  });

  test('that speak HBONE are reached by tunnel, which asks for the address that was found', async () => {
    redirectOnce(app.path, DEFAULT_RULES);
    expect(await dial(82)).toEqual({ text: `hello ${POD}`, code: undefined });
    const line = await logLine(`dst.addr=${APP}:15008 dst.hbone_addr=${APP}:8080`);
    expect(line).toContain('dst.identity="spiffe://cluster.local/ns/shop/sa/machine"');
  });
});
