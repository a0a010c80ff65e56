/**
 * Our node proxy, as a process, where everything else is not ours: a control plane and a CNI agent by hand. Two pods in
 * namespaces of their own are handed over by ZDS; certificates and configuration come over gRPC. Needs root.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { until } from '#test/support/apiserver.ts';
import { missingFor, ROOT } from '#test/support/lab.ts';
import { type Apps, dial, lineWith, PORTS, type Seen, startApps } from './apps.ts';
import { ForeignAgent } from './foreign-agent.ts';
import { type ForeignControl, startForeignControl } from './foreign-control.ts';
import { makePodPair, type PodPair } from './pod-pair.ts';
import {
  ADDRESS,
  AUTHORIZATION,
  address,
  bytes,
  join as concat,
  entry,
  nested,
  number,
  text,
} from './wire.ts';

const missing = missingFor({ programs: ['ip'], root: true });
const VIP = '198.19.0.33';
const SERVICE = 'shop/product.shop.svc.cluster.local';
const uidOf = (name: string) => `Kubernetes//Pod/shop/${name}`;

type NodeProcess = Bun.Subprocess<'ignore', 'pipe', 'pipe'>;

const DOMAINS = [
  { trustDomain: 'cluster.local', subnet: 243 },
  { trustDomain: 'example.org', subnet: 247 },
];

for (const { trustDomain, subnet } of DOMAINS) {
  describe.skipIf(missing !== undefined)(
    `a node of ${trustDomain} that is not ours${missing ? `: ${missing}` : ''}`,
    () => {
      const spiffe = (account: string) => `spiffe://${trustDomain}/ns/shop/sa/${account}`;
      let pair: PodPair;
      let control: ForeignControl;
      let agent: ForeignAgent;
      let apps: Apps;
      let folder: string;
      const nodes: NodeProcess[] = [];
      const opened: Seen[] = [];
      let output = '';
      let mark = 0;

      const workload = (name: 'web' | 'product', ...more: Uint8Array[]) =>
        nested(
          1,
          text(1, name),
          text(2, 'shop'),
          bytes(3, address(pair[name].ip)),
          number(5, 1), // HBONE
          ...(trustDomain === 'cluster.local' ? [] : [text(6, trustDomain)]),
          text(7, name),
          text(9, 'node1'),
          text(20, uidOf(name)),
          ...more,
        );

      const podOf = (name: 'web' | 'product') => ({
        uid: `pod-uid-${name}`,
        namespace: 'shop',
        name,
        serviceAccount: name,
        netns: pair[name].path,
      });

      beforeAll(async () => {
        folder = mkdtempSync(join(tmpdir(), 'tulle-foreign-node-'));
        pair = makePodPair(subnet);
        control = await startForeignControl();
        const member = entry(
          22,
          SERVICE,
          nested(2, nested(1, number(1, 80), number(2, PORTS.echo))),
        );
        control.push(ADDRESS, {
          [uidOf('web')]: { version: '1', value: workload('web') },
          [uidOf('product')]: { version: '1', value: workload('product', member) },
          [SERVICE]: {
            version: '1',
            value: nested(
              2,
              text(1, 'product'),
              text(2, 'shop'),
              text(3, 'product.shop.svc.cluster.local'),
              nested(4, bytes(2, address(VIP))),
              nested(5, number(1, 80), number(2, PORTS.echo)),
              number(11, 1),
            ),
          },
        });
        // Discovery answers only once the pods are handed over.
        control.held.add(ADDRESS);
        apps = startApps(pair.product.namespace);
        for (const { path } of [pair.web, pair.product]) redirectOnce(path, DEFAULT_RULES);
        agent = new ForeignAgent(join(folder, 'ztunnel.sock'));
        writeFileSync(join(folder, 'root.pem'), control.roots);
        writeFileSync(join(folder, 'token'), 'our-token');
        startNode();
      });

      function startNode(): NodeProcess {
        const program = [process.execPath, join(ROOT, 'src/cli/main.ts'), 'role', 'node'];
        const ports = ['admin', 'metrics', 'readiness'].map((name) => `--${name}-port=0`);
        const node = Bun.spawn([...program, ...ports, `--cni-socket=${folder}/cni.sock`], {
          stdin: 'ignore',
          stdout: 'pipe',
          stderr: 'pipe',
          env: {
            PATH: process.env.PATH ?? '',
            INPOD_UDS: join(folder, 'ztunnel.sock'),
            XDS_ADDRESS: `https://localhost:${control.port}`,
            CA_ADDRESS: `https://localhost:${control.port}`,
            XDS_ROOT_CA: join(folder, 'root.pem'),
            CA_ROOT_CA: join(folder, 'root.pem'),
            AUTH_TOKEN: join(folder, 'token'),
            ISTIO_META_CLUSTER_ID: 'east',
            ISTIO_META_REGION_NOTE: 'by hand',
            NODE_NAME: 'node1',
            POD_NAME: 'ztunnel-x',
            POD_NAMESPACE: 'istio-system',
            TERMINATION_GRACE_PERIOD_SECONDS: '10',
          },
        });
        const collect = async (stream: ReadableStream<Uint8Array>) => {
          for await (const chunk of stream) output += Buffer.from(chunk).toString();
        };
        void collect(node.stdout);
        void collect(node.stderr);
        nodes.push(node);
        return node;
      }

      beforeEach(() => {
        mark = output.length;
        for (const seen of opened.splice(0)) seen.connection.end();
      });

      afterAll(async () => {
        for (const node of nodes) {
          node.kill('SIGKILL');
          await node.exited;
        }
        agent?.stop();
        apps?.stop();
        control?.stop();
        pair?.[Symbol.dispose]();
        rmSync(folder, { recursive: true, force: true });
      });

      const logged = (...words: string[]) => lineWith(() => output.slice(mark), ...words);

      /** A connection that was answered; undefined when it was refused or ended first. */
      async function hello(): Promise<Seen | undefined> {
        const seen = await dial(pair.web.namespace, VIP, 80).catch(() => undefined);
        if (seen === undefined) return undefined;
        opened.push(seen);
        seen.connection.write(Buffer.from('hello'));
        const ended = Promise.race([seen.closed, seen.ended]).then(() => undefined);
        return Promise.race([until(() => (seen.text === 'hello' ? seen : undefined)), ended]);
      }

      test('pods that are handed over are served, with certificates and configuration of the others', async () => {
        expect(await agent.add(podOf('web'))).toBe('');
        expect(await agent.add(podOf('product'))).toBe('');
        expect(await agent.snapshotSent()).toBe('');
        control.release();
        const seen = await until(hello);
        seen.connection.end();
        expect(await seen.closed).toBeUndefined();
        expect(apps.accepted[0].connection.remoteAddress).toBe(pair.web.ip);
        const names = [`src.identity="${spiffe('web')}"`, `dst.identity="${spiffe('product')}"`];
        await logged('direction="outbound"', ...names);
        await logged('direction="inbound"', ...names);
        // Which trust domain it is comes with discovery: one may be asked for by mistake before that.
        const asked = control.csrs.map(({ impersonated }) => impersonated);
        expect(asked).toEqual(expect.arrayContaining([spiffe('product'), spiffe('web')]));
        const [first] = control.requests;
        expect(first.nodeId).toBe(
          'ztunnel~1.1.1.1~ztunnel-x.istio-system~istio-system.svc.cluster.local',
        );
        expect(first.metadata).toMatchObject({
          NODE_NAME: 'node1',
          CLUSTER_ID: 'east',
          REGION_NOTE: 'by hand',
        });
      });

      test('a policy of the others closes what is open and refuses what comes', async () => {
        const open = (await hello()) as Seen;
        const policy = concat(
          text(1, 'no-web'),
          text(2, 'shop'),
          number(3, 1),
          number(4, 1),
          nested(5, nested(1, nested(2, nested(3, text(1, `${trustDomain}/ns/shop/sa/web`))))),
        );
        control.push(AUTHORIZATION, { 'shop/no-web': { version: '', value: policy } });
        expect((await open.closed)?.code).toBe('NET_RESET');
        expect(await hello()).toBeUndefined();
        await logged('explicitly denied by: shop/no-web');
        await logged('http status: 401');
        control.push(AUTHORIZATION, { 'shop/no-web': undefined });
        await until(hello);
      });

      test('without its control plane and its agent it goes on', async () => {
        control.drop();
        agent.stop();
        expect(await hello()).toBeDefined();
        agent.start();
        // The agent knows one namespace again, the other pod it only remembers.
        await agent.connected();
        expect(await agent.add(podOf('web'))).toBe('');
        expect(await agent.keep('pod-uid-product')).toBe('');
        expect(await agent.snapshotSent()).toBe('');
        expect(await hello()).toBeDefined();
      });

      test('a pod that goes is let go of at once; one that comes back is served again', async () => {
        const open = (await hello()) as Seen;
        expect(await agent.delete('pod-uid-product')).toBe('');
        expect(await Promise.race([open.closed, open.ended.then(() => 'ended')])).toBeDefined();
        expect(await hello()).toBeUndefined();
        expect(await agent.add(podOf('product'))).toBe('');
        await until(hello);
      });

      async function visit(): Promise<void> {
        const seen = await hello();
        expect(seen).toBeDefined();
        seen?.connection.end();
        expect(await seen?.closed).toBeUndefined();
      }

      test('the next generation takes the pods over, and no connection is refused meanwhile', async () => {
        const [first] = nodes;
        const running = (await hello()) as Seen;
        startNode();
        await until(() => (agent.connections.length === 2 ? true : undefined));
        // The agent tells the newest; the other serves on until it sees that it is no longer needed.
        expect(await agent.add(podOf('web'))).toBe('');
        expect(await agent.add(podOf('product'))).toBe('');
        expect(await agent.snapshotSent()).toBe('');
        for (let index = 0; index < 20; index++) await visit();
        first.kill('SIGTERM');
        for (let index = 0; index < 20; index++) await visit();
        running.connection.write(Buffer.from(' again'));
        await until(() => (running.text === 'hello again' ? true : undefined));
        running.connection.end();
        expect(await running.closed).toBeUndefined();
        expect(await first.exited).toBe(0);
        await visit();
      });

      test("the node's own namespace is refused, and the conversation goes on", async () => {
        const own = { ...podOf('web'), uid: 'host', name: 'host', netns: '/proc/self/ns/net' };
        expect(await agent.add(own)).toContain("node's own network namespace");
        expect(await hello()).toBeDefined();
      });
    },
  );
}
