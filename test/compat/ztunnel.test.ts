/**
 * An outside ztunnel joins our control plane and talks to our node proxy, in both directions: identities, policy, every way
 * for a connection to end. Runs when the variable ZTUNNEL names a ztunnel binary; needs root.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { until } from '#test/support/apiserver.ts';
import { BULK_BYTES, dial, lineWith, PORTS, pour, relayInto, type Seen } from './apps.ts';
import type { ControlRig } from './control-rig.ts';
import { type MeshRig, type Name, spiffe, startMeshRig, VIPS } from './mesh-rig.ts';
import type { OurNode } from './our-node.ts';
import type { PodPair } from './pod-pair.ts';
import { binary, missing, startZtunnel, type ZtunnelProcess } from './ztunnel-process.ts';

describe.skipIf(missing !== undefined)(`an outside ztunnel${missing ? `: ${missing}` : ''}`, () => {
  let mesh: MeshRig;
  let rig: ControlRig;
  let pair: PodPair;
  let ours: OurNode;
  let apps: MeshRig['apps'];
  let theirs: ZtunnelProcess;

  beforeAll(async () => {
    mesh = await startMeshRig(242);
    ({ rig, pair, ours, apps } = mesh);
    const { product } = pair;
    redirectOnce(product.path, DEFAULT_RULES);
    relayInto(product.namespace, 15012, rig.control.ports.discovery);
    theirs = await startZtunnel({
      binary,
      netns: product.netns,
      directory: mesh.directory,
      rootPem: rig.rootPem,
      token: await rig.token({ namespace: 'shop', name: 'product', serviceAccount: 'product' }),
      environment: {
        PROXY_MODE: 'dedicated',
        PROXY_WORKLOAD_INFO: 'shop/product/product',
        NODE_NAME: 'node2',
        POD_NAME: 'product',
        POD_NAMESPACE: 'shop',
        SERVICE_ACCOUNT: 'product',
        INSTANCE_IP: product.ip,
      },
    });
    await ours.ready();
    await theirs.ready();
  }, 60_000);

  afterAll(async () => {
    await theirs?.stop();
    await mesh?.stop();
  });

  const other = (name: Name): Name => (name === 'web' ? 'product' : 'web');
  /** What the proxy of a pod printed. */
  const logOf = (name: Name) => (name === 'web' ? ours.output : theirs.output);
  const proxyOf = (name: Name) => (name === 'web' ? 'ours' : "ztunnel's");
  let marks: Record<Name, number> = { web: 0, product: 0 };

  beforeEach(() => {
    marks = { web: ours.output().length, product: theirs.output().length };
    for (const { accepted } of Object.values(apps)) accepted.length = 0;
  });

  /** A line of the access log that this test brought about. */
  const logged = (name: Name, ...words: string[]) =>
    lineWith(() => logOf(name)().slice(marks[name]), 'access', ...words);

  async function hello(from: Name, address: string, port: number = PORTS.echo): Promise<Seen> {
    const seen = await dial(pair[from].namespace, address, port);
    seen.connection.write(Buffer.from('hello'));
    await until(() => (seen.text === 'hello' ? true : undefined));
    return seen;
  }

  for (const from of ['web', 'product'] as const) {
    const to = other(from);
    describe(`from ${proxyOf(from)} outbound to ${proxyOf(to)} inbound`, () => {
      test('bytes and both half-closes pass, the app sees the client, both logs know both identities', async () => {
        const seen = await hello(from, VIPS[to]);
        seen.connection.end();
        expect(await seen.closed).toBeUndefined();
        expect(seen.text).toBe('hellobye');
        expect(apps[to].accepted[0].connection.remoteAddress).toBe(pair[from].ip);
        const names = [
          'connection complete',
          `src.identity="${spiffe(from)}"`,
          `dst.identity="${spiffe(to)}"`,
          `dst.hbone_addr=${pair[to].ip}:${PORTS.echo}`,
        ];
        const out = await logged(from, 'direction="outbound"', ...names);
        expect(out).toContain('bytes_sent=5 bytes_recv=8');
        expect(out).toContain(`dst.service="${to}.shop.svc.cluster.local"`);
        const inbound = await logged(to, 'direction="inbound"', ...names);
        expect(inbound).toContain('bytes_sent=8 bytes_recv=5');
        expect(inbound).toContain(`dst.service="${to}.shop.svc.cluster.local"`);
        expect(inbound).toContain(`src.workload="${from}"`);
      });

      test('a server that speaks first is heard', async () => {
        const seen = await dial(pair[from].namespace, VIPS[to], PORTS.greeter);
        await until(() => (seen.text === '220 welcome\n' ? true : undefined));
        seen.connection.end();
        expect(await seen.closed).toBeUndefined();
      });

      test('10 MB each way arrive whole, then FIN', async () => {
        const down = await dial(pair[from].namespace, VIPS[to], PORTS.source);
        await down.ended;
        expect(down.bytes).toBe(BULK_BYTES);
        down.connection.end();
        const up = await dial(pair[from].namespace, VIPS[to], PORTS.sink);
        pour(up);
        await up.ended;
        expect(up.text).toBe(`${BULK_BYTES} bytes`);
      });

      // An outside ztunnel passes a reset on as an orderly end.
      test('a reset by the client ends the app', async () => {
        const seen = await hello(from, VIPS[to]);
        seen.connection.reset();
        const [app] = apps[to].accepted;
        await Promise.race([app.closed, app.ended]);
        await logged(to, 'direction="inbound"', 'connection complete');
      });

      test('a reset by the app ends the client', async () => {
        const seen = await hello(from, VIPS[to]);
        seen.connection.write(Buffer.from('RST'));
        await Promise.race([seen.closed, seen.ended]);
        seen.connection.end();
        await logged(from, 'direction="outbound"', 'connection complete');
      });

      test('many connections share the tunnel and do not mix', async () => {
        const all = await Promise.all(
          Array.from({ length: 40 }, async (_, index) => {
            const seen = await dial(pair[from].namespace, VIPS[to], PORTS.echo);
            const text = `client ${index} `.repeat(20);
            seen.connection.write(Buffer.from(text));
            await until(() => (seen.text.length >= text.length ? true : undefined));
            seen.connection.end();
            await seen.ended;
            return seen.text === `${text}bye`;
          }),
        );
        expect(all.every(Boolean)).toBe(true);
      });

      test('IPv6, by the address of the pod', async () => {
        const seen = await hello(from, pair[to].ip6);
        seen.connection.end();
        expect(await seen.closed).toBeUndefined();
        expect(apps[to].accepted[0].connection.remoteAddress).toBe(pair[from].ip6);
        await logged(to, `dst.hbone_addr=[${pair[to].ip6}]:${PORTS.echo}`, 'direction="inbound"');
      });

      test('an app that does not listen is a 503 and ends the client', async () => {
        const seen = await dial(pair[from].namespace, pair[to].ip, 9);
        await Promise.race([seen.closed, seen.ended]);
        await logged(from, 'direction="outbound"', 'http status: 503');
        await logged(to, 'direction="inbound"', `dst.hbone_addr=${pair[to].ip}:9`, 'error=');
      });

      test('a policy closes what is open and refuses what comes with 401, which both logs tell', async () => {
        const name = `no-${from}`;
        const open = await hello(from, VIPS[to]);
        const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';
        await rig.create(path, {
          apiVersion: 'security.istio.io/v1',
          kind: 'AuthorizationPolicy',
          metadata: { name },
          spec: {
            action: 'DENY',
            rules: [{ from: [{ source: { principals: [`cluster.local/ns/shop/sa/${from}`] } }] }],
          },
        });
        await Promise.race([open.closed, open.ended]);
        await logged(to, 'direction="inbound"', 'policy change');
        const refused = await dial(pair[from].namespace, VIPS[to], PORTS.echo);
        await Promise.race([refused.closed, refused.ended]);
        expect(refused.text).toBe('');
        await logged(from, 'direction="outbound"', 'http status: 401');
        await logged(to, 'direction="inbound"', `explicitly denied by: shop/${name}`);
        expect((await rig.apiserver.call('DELETE', `${path}/${name}`)).code).toBe(200);
        await until(async () => {
          const seen = await dial(pair[from].namespace, VIPS[to], PORTS.echo);
          seen.connection.write(Buffer.from('hello'));
          const answered = until(() => (seen.text === 'hello' ? true : undefined));
          const ended = Promise.race([seen.closed, seen.ended]).then(() => undefined);
          return Promise.race([answered, ended]);
        });
      });
    });
  }
});
