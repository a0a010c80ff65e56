/**
 * A service whose endpoints are in another network: a tunnel to that network's gateway, and within it another one to who
 * serves there. Gateway and server are not ours (node:http2, a process of their own). Needs root.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { completeService, completeWorkload } from '#node/config/static-file.ts';
import type { MeshAddress } from '#node/state/mesh-snapshot.ts';
import { type StaticNode, startStaticNode } from '#node/static-node.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { until } from '#test/support/apiserver.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { missingFor } from '#test/support/lab.ts';
import { dial, type Seen } from './apps.ts';
import { type HbonePeer, startPeer } from './hbone-peer.ts';
import { PEER_PORTS } from './hbone-server.ts';
import { makePodPair, type PodPair } from './pod-pair.ts';

const missing = missingFor({ programs: ['ip'], root: true });
const VIP = '198.18.246.80';
const HOST = 'far.shop.svc.cluster.local';
const spiffe = (account: string) => `spiffe://cluster.local/ns/shop/sa/${account}`;

describe.skipIf(missing !== undefined)(
  `a service of another network${missing ? `: ${missing}` : ''}`,
  () => {
    let pair: PodPair;
    let node: StaticNode;
    let peer: HbonePeer;
    let logs = '';

    beforeAll(async () => {
      pair = makePodPair(246);
      const authority = await createTestCa();
      peer = await startPeer(pair.product.netns, {
        address: '::',
        identity: await authority.issue(spiffe('gateway')),
        inner: await authority.issue(spiffe('far')),
        streamsMax: 100,
      });
      redirectOnce(pair.web.path, DEFAULT_RULES);
      node = startStaticNode(
        {
          trustDomain: 'cluster.local',
          addresses: mesh([spiffe('far')]),
          authorizations: [],
          pods: [
            {
              namespace: 'shop',
              name: 'web',
              serviceAccount: 'web',
              netns: pair.web.path,
              listenAddress: '::',
              certificateFile: '',
              keyFile: '',
              rootFile: '',
              identity: await authority.issue(spiffe('web')),
            },
          ],
        },
        {
          log: silentLogger,
          logFormat: 'text',
          write(text) {
            logs += text;
            return true;
          },
        },
      );
    });

    afterAll(async () => {
      node?.stop();
      await peer?.stop();
      pair?.[Symbol.dispose]();
    });

    beforeEach(async () => {
      await until(() => (node.assembly.context.telemetry.live.size === 0 ? true : undefined));
      node.assembly.accessLog.flush();
      logs = '';
      peer.forget();
    });

    function mesh(
      names: string[],
      gatewayAddress: string | undefined = pair.product.ip,
    ): MeshAddress[] {
      const web = completeWorkload(
        {
          name: 'web',
          namespace: 'shop',
          serviceAccount: 'web',
          addresses: [pair.web.ip],
          network: 'near-net',
          protocol: 'hbone',
        },
        'cluster.local',
      );
      // As istiod writes them: the gateway as a workload of its network, the endpoints as one without address.
      const gateway = completeWorkload(
        {
          uid: `NetworkGateway/far-net/${pair.product.ip}/15008`,
          name: 'gateway',
          namespace: 'shop',
          serviceAccount: 'gateway',
          addresses: [pair.product.ip],
          network: 'far-net',
          protocol: 'hbone',
        },
        'cluster.local',
      );
      const far = completeWorkload(
        {
          uid: 'far-net/SplitHorizonWorkload/istio-system/eastwest/shop/far',
          name: 'far',
          namespace: 'shop',
          network: 'far-net',
          protocol: 'hbone',
          ...(gatewayAddress !== undefined && {
            networkGateway: {
              address: { network: 'far-net', address: gatewayAddress },
              hbonePort: 15008,
            },
          }),
          services: { [`shop/${HOST}`]: [{ servicePort: PEER_PORTS.echo, targetPort: 1 }] },
        },
        'cluster.local',
      );
      const ports = Object.values(PEER_PORTS).map((servicePort) => ({
        servicePort,
        targetPort: 1,
        appProtocol: 'tcp' as const,
      }));
      const service = completeService({
        name: 'far',
        namespace: 'shop',
        addresses: [{ network: 'near-net', address: VIP }],
        ports,
        subjectAltNames: names,
      });
      return [
        { kind: 'workload', workload: web },
        { kind: 'workload', workload: gateway },
        { kind: 'workload', workload: far },
        { kind: 'service', service },
      ];
    }

    async function echoed(port: number = PEER_PORTS.echo): Promise<Seen> {
      const seen = await dial(pair.web.namespace, VIP, port);
      const text = 'across the border '.repeat(2000);
      seen.connection.write(Buffer.from(text));
      await until(() => (seen.bytes >= text.length ? true : undefined));
      return seen;
    }

    async function refused(port: number = PEER_PORTS.echo): Promise<string> {
      const seen = await dial(pair.web.namespace, VIP, port);
      expect((await seen.closed)?.code).toBe('NET_RESET');
      node.assembly.accessLog.flush();
      return logs;
    }

    test('both tunnels ask for the service by name; the inner one says of which network the client is', async () => {
      node.replace({ addresses: mesh([spiffe('far')]), authorizations: [] });
      const seen = await echoed();
      seen.connection.end();
      expect(await seen.closed).toBeUndefined();
      const [outer, inner] = peer.connections();
      expect([outer.inner, inner.inner]).toEqual([false, true]);
      for (const each of [outer, inner]) {
        expect(each).toMatchObject({
          serverName: null,
          alpn: 'h2',
          tls: 'TLSv1.3',
          client: `URI:${spiffe('web')}`,
        });
      }
      const [first, second] = peer.streams().map(({ headers }) => headers);
      for (const headers of [first, second]) {
        expect(headers[':authority']).toBe(`${HOST}:${PEER_PORTS.echo}`);
        expect(headers.baggage).toContain('k8s.namespace.name=shop');
        expect(headers.traceparent).toHaveLength(55);
      }
      expect(first['x-forwarded-network']).toBeUndefined();
      expect(second['x-forwarded-network']).toBe('near-net');
      node.assembly.accessLog.flush();
      expect(logs).toContain(`dst.addr=${pair.product.ip}:15008 dst.hbone_addr=${HOST}:8080`);
      // Nobody but the other end knows who it is.
      expect(logs).toContain('dst.workload="far-v1"');
      expect(logs).toContain(`dst.identity="${spiffe('far')}"`);
      expect(logs).toContain('dst.cluster="far-cluster"');
    });

    test('the outer connection is shared, an inner one never', async () => {
      node.replace({ addresses: mesh([spiffe('far')]), authorizations: [] });
      const all = await Promise.all([echoed(), echoed(), echoed()]);
      const streams = peer.streams();
      const numbers = (inner: boolean) =>
        new Set(streams.filter((each) => each.inner === inner).map(({ connection }) => connection));
      expect([numbers(false).size, numbers(true).size]).toEqual([1, 3]);
      for (const seen of all) {
        seen.connection.end();
        expect(await seen.closed).toBeUndefined();
      }
      await until(() =>
        node.assembly.context.pool.status().every(({ streams: open }) => open === 0)
          ? true
          : undefined,
      );
    });

    test('a server that proves none of the names of the service is not talked to', async () => {
      node.replace({ addresses: mesh([spiffe('other')]), authorizations: [] });
      expect(await refused()).toContain(spiffe('other'));
      expect(peer.streams().some(({ inner }) => inner)).toBe(false);
    });

    test('a service that names nobody, and a network without gateway, are refused before anything is sent', async () => {
      node.replace({ addresses: mesh([]), authorizations: [] });
      expect(await refused()).toContain('names nobody in network far-net whom we may trust');
      node.replace({ addresses: mesh([spiffe('far')], '198.18.246.99'), authorizations: [] });
      expect(await refused()).toContain('network far-net has no gateway that is reachable');
      node.replace({ addresses: mesh([spiffe('far')], ''), authorizations: [] });
      expect(await refused()).toContain('has no gateway');
      expect(peer.connections()).toEqual([]);
    });

    test('what the inner end answers is what the client gets', async () => {
      const addresses = mesh([spiffe('far')]);
      node.replace({ addresses, authorizations: [] });
      expect(await refused(PEER_PORTS.reset)).toContain('error=');
    });
  },
);
