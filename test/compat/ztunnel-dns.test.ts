/**
 * The same mesh and the same questions for the DNS proxy of an outside ztunnel and for ours: the answers must be the same.
 * Runs when the variable ZTUNNEL names a ztunnel binary; needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isIpv6 } from '#base/ip.ts';
import { silentLogger } from '#base/log.ts';
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { BunDatagrams } from '#net/bun/bun-datagrams.ts';
import { completeWorkload } from '#node/config/static-file.ts';
import type { MeshAddress } from '#node/state/mesh-snapshot.ts';
import { type StaticNode, startStaticNode } from '#node/static-node.ts';
import { until } from '#test/support/apiserver.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { DNS_CASES, DNS_MESH, DNS_NAME } from '#test/support/dns-cases.ts';
import { missingFor } from '#test/support/lab.ts';
import { TestNamespace } from '#test/support/namespaces.ts';
import { RCODE, TYPE } from '#wire/dns/codes.ts';
import { type DnsMessage, decodeMessage, encodeMessage, queryFor } from '#wire/dns/message.ts';
import { startZtunnel, type ZtunnelProcess } from './ztunnel-process.ts';

const binary = process.env.ZTUNNEL ?? '';
// Not a failure in CI: the binary is another project's and is never fetched here.
const missing =
  binary === '' ? 'ZTUNNEL names no ztunnel binary' : missingFor({ programs: ['ip'], root: true });
if (missing !== undefined) console.error(`SKIPPED: DNS against an outside ztunnel (${missing})`);

/** Not loopback, so that both ask it from the pod's network. */
const NAME_SERVER = '198.18.242.1';
const SPIFFE = 'spiffe://cluster.local/ns/shop/sa/web';
const CLIENT = completeWorkload(
  { name: 'web', namespace: 'shop', serviceAccount: 'web', addresses: ['127.0.0.1'] },
  'cluster.local',
);
const MESH: MeshAddress[] = [{ kind: 'workload', workload: CLIENT }, ...DNS_MESH];

/** ztunnel's local configuration; it keeps endpoints, names and ranges in other fields. */
function localConfig(): string {
  const workloads: Workload[] = [];
  const services: Service[] = [];
  for (const address of MESH) {
    if (address.kind === 'workload') workloads.push(address.workload);
    else services.push(address.service);
  }
  const isRange = ({ address, length }: Service['addresses'][number]) =>
    length !== undefined && length !== (isIpv6(address) ? 128 : 32);
  const FAMILIES = { automatic: undefined, ipv4: 'IPv4', ipv6: 'IPv6', dual: 'Dual' };
  return JSON.stringify({
    workloads: workloads.map((each) => ({
      uid: each.uid,
      name: each.name,
      namespace: each.namespace,
      serviceAccount: each.serviceAccount,
      workloadIps: each.addresses,
      protocol: 'TCP',
      status: each.healthy ? 'Healthy' : 'Unhealthy',
      services: Object.fromEntries([...each.services.keys()].map((key) => [key, {}])),
    })),
    services: services.map((each) => ({
      name: each.name,
      namespace: each.namespace,
      hostname: each.hostname,
      vips: each.addresses
        .filter((one) => !isRange(one))
        .map((one) => `${one.network}/${one.address}`),
      ports: {},
      canonical: each.canonical,
      visibility: each.visibility === 'public' ? 'Public' : 'Namespace',
      ipFamilies: FAMILIES[each.ipFamilies],
      loadBalancer: each.loadBalancing?.includeUnhealthy
        ? { mode: 'Standard', healthPolicy: 'AllowAll', routingPreferences: [] }
        : undefined,
    })),
    policies: [],
  });
}

describe.skipIf(missing !== undefined)(`DNS as ztunnel${missing ? `: ${missing}` : ''}`, () => {
  const datagrams = new BunDatagrams();
  const pods: TestNamespace[] = [];
  const heard: string[][] = [[], []];
  let directory: string;
  let theirs: ZtunnelProcess;
  let ours: StaticNode;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tulle-dns-compat-'));
    for (const name of ['theirs', 'ours']) {
      const pod = new TestNamespace(name);
      pod.ip('address', 'add', `${NAME_SERVER}/32`, 'dev', 'lo');
      serve(pod, heard[pods.length]);
      pods.push(pod);
    }
    const authority = await createTestCa();
    const identity = await authority.issue(SPIFFE);
    const resolvConf = join(directory, 'resolv.conf');
    const search = 'search shop.svc.cluster.local svc.cluster.local cluster.local';
    writeFileSync(resolvConf, `${search}\nnameserver ${NAME_SERVER}\n`);
    const configFile = join(directory, 'mesh.json');
    writeFileSync(configFile, localConfig());
    // ip-netns(8): the file takes the place of /etc/resolv.conf for what runs in that namespace.
    mkdirSync(`/etc/netns/${pods[0].name}`, { recursive: true });
    writeFileSync(
      `/etc/netns/${pods[0].name}/resolv.conf`,
      `${search}\nnameserver ${NAME_SERVER}\n`,
    );
    theirs = await startZtunnel({
      binary,
      netns: pods[0].name,
      directory,
      rootPem: identity.trustBundle,
      token: 'none',
      environment: {
        PROXY_MODE: 'dedicated',
        PROXY_WORKLOAD_INFO: 'shop/web/web',
        LOCAL_XDS_PATH: configFile,
        ISTIO_META_DNS_CAPTURE: 'true',
      },
    });
    ours = startStaticNode(
      {
        trustDomain: 'cluster.local',
        addresses: MESH,
        authorizations: [],
        pods: [
          {
            namespace: 'shop',
            name: 'web',
            serviceAccount: 'web',
            netns: pods[1].path,
            listenAddress: '0.0.0.0',
            certificateFile: '',
            keyFile: '',
            rootFile: '',
            identity,
          },
        ],
      },
      { log: silentLogger, logFormat: 'text', write: () => true, dns: { resolvConf } },
    );
    await until(() => theirs.output().includes("Task 'dns proxy' complete") || undefined);
  }, 120_000);

  afterAll(async () => {
    ours?.stop();
    await theirs?.stop();
    for (const pod of pods) {
      rmSync(`/etc/netns/${pod.name}`, { recursive: true, force: true });
      pod[Symbol.dispose]();
    }
    if (existsSync('/etc/netns') && readdirSync('/etc/netns').length === 0) rmdirSync('/etc/netns');
    if (directory !== undefined) rmSync(directory, { recursive: true });
  });

  /** Knows no name at all, and notes what it is asked. */
  function serve(pod: TestNamespace, questions: string[]): void {
    const socket = datagrams.bind(
      { address: NAME_SERVER, port: 53, namespace: pod.handle },
      {
        onDatagram(bytes, from) {
          const query = decodeMessage(bytes);
          if (typeof query === 'number') return;
          const [{ name, type }] = query.questions;
          questions.push(`${name.toLowerCase()} ${type}`);
          socket.send(
            encodeMessage({ ...query, response: true, recursionAvailable: true, rcode: 3 }, 512),
            from,
          );
        },
        onError: () => undefined,
      },
    );
  }

  async function ask(pod: TestNamespace, query: Uint8Array): Promise<DnsMessage> {
    const reply = Promise.withResolvers<DnsMessage>();
    const socket = datagrams.connect(
      { address: '127.0.0.1', port: 15053, namespace: pod.handle },
      {
        onDatagram: (bytes) => reply.resolve(decodeMessage(bytes) as DnsMessage),
        onError: reply.reject,
      },
    );
    socket.send(query);
    const message = await reply.promise;
    socket.close();
    return message;
  }

  /** Without what is chance (the order of addresses) or theirs alone (the case of names). */
  function essence({ questions, ...message }: DnsMessage) {
    const answers = message.answers.map(({ name, type, ttlSeconds, value }) =>
      JSON.stringify({ name: name.toLowerCase(), type, ttlSeconds, value }).toLowerCase(),
    );
    const [aliases, addresses] = [TYPE.CNAME, 0].map((kind) =>
      answers.filter((each) => each.includes('"type":5') === (kind === TYPE.CNAME)),
    );
    const { rcode, authoritative, recursionAvailable, recursionDesired, truncated, edns } = message;
    const asked = questions.map(({ name, type }) => `${name.toLowerCase()} ${type}`);
    return {
      ...{ rcode, authoritative, recursionAvailable, recursionDesired, truncated, edns, asked },
      answers: [...aliases, ...addresses.sort()],
    };
  }

  async function both(query: Uint8Array) {
    for (const questions of heard) questions.length = 0;
    const [one, two] = await Promise.all(pods.map((pod) => ask(pod, query)));
    return {
      theirs: { ...essence(one), forwarded: heard[0].length > 0 },
      ours: { ...essence(two), forwarded: heard[1].length > 0 },
    };
  }

  for (const { title, name, type = TYPE.A, settings } of DNS_CASES) {
    if (settings !== undefined || name === '') continue;
    // ztunnel compares with the name as the mesh wrote it; DNS names are equal in any case (RFC 4343).
    if (name === 'mixed.example.COM') continue;
    test(`${title}: ${name}`, async () => {
      const edns = { version: 0, payloadBytes: 1232, dnssecOk: false };
      const got = await both(encodeMessage({ ...queryFor(77, name, type), edns }, 512));
      // A server's answer is passed on as it is here; ztunnel writes it anew, with flags and an OPT record of its own.
      const own = got.ours.forwarded ? { edns: undefined, recursionAvailable: undefined } : {};
      expect({ ...got.ours, ...own }).toEqual({ ...got.theirs, ...own });
    });
  }

  test.each([
    ['without EDNS', { edns: undefined }],
    ['with EDNS and DO', { edns: { version: 0, payloadBytes: 4096, dnssecOk: true } }],
    ['with EDNS below 512', { edns: { version: 0, payloadBytes: 100, dnssecOk: false } }],
    ['without RD', { recursionDesired: false }],
    ['with CD', { checkingDisabled: true }],
    ['another operation', { opcode: 4 }],
  ])('%s', async (_title, more) => {
    const got = await both(encodeMessage({ ...queryFor(78, DNS_NAME, TYPE.A), ...more }, 512));
    // Of what is refused ztunnel repeats the question, and does not say that it recurses otherwise.
    const own =
      got.ours.rcode === RCODE.noError ? {} : { asked: undefined, recursionAvailable: undefined };
    expect({ ...got.ours, ...own }).toEqual({ ...got.theirs, ...own });
  });
});
