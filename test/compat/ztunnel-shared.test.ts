/**
 * An outside ztunnel in shared mode, driven by our CNI agent: we capture the pod and hand it over by ZDS, it serves the pod
 * with a certificate of our CA that it asks for in the pod's name. Runs when the variable ZTUNNEL names a ztunnel binary;
 * needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { CaptureAgent } from '#node/agent/capture-agent.ts';
import { OutsideListeners } from '#node/inpod/outside-listeners.ts';
import { ZdsServer } from '#node/inpod/zds-server.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { until } from '#test/support/apiserver.ts';
import { dial, lineWith, PORTS, relayInto, type Seen } from './apps.ts';
import { type MeshRig, type Name, NODE_PODS, spiffe, startMeshRig, VIPS } from './mesh-rig.ts';
import { binary, missing, startZtunnel, type ZtunnelProcess } from './ztunnel-process.ts';

describe.skipIf(missing !== undefined)(
  `a ztunnel that our CNI agent drives${missing ? `: ${missing}` : ''}`,
  () => {
    const netns = `tulle-compat-${process.pid}-node2`;
    let mesh: MeshRig;
    let node: NetworkNamespace;
    let agent: CaptureAgent;
    let server: ZdsServer;
    let theirs: ZtunnelProcess;
    const reports: (string | undefined)[] = [];
    const request = () => ({
      uid: 'pod-uid-product',
      namespace: 'shop',
      name: 'product',
      serviceAccount: 'product',
      netnsPath: mesh.pair.product.path,
      options: DEFAULT_RULES,
      isNew: true,
      wasCaptured: false,
    });

    beforeAll(async () => {
      mesh = await startMeshRig(245);
      Bun.spawnSync(['ip', 'netns', 'add', netns]);
      Bun.spawnSync(['ip', '-n', netns, 'link', 'set', 'lo', 'up']);
      node = openNamespace(`/run/netns/${netns}`);
      const { rig, ours, directory } = mesh;
      relayInto(node, 15012, rig.control.ports.discovery);
      const socket = join(directory, 'ztunnel.sock');
      server = new ZdsServer({ clock: systemClock, log: silentLogger }, socket);
      const { context } = ours;
      agent = new CaptureAgent(
        context,
        { report: (_, value) => reports.push(value), failed: () => undefined },
        {
          node,
          listeners: (pod) => new OutsideListeners(server, pod, context.trustDomain),
        },
      );
      theirs = await startZtunnel({
        binary,
        netns,
        directory,
        rootPem: rig.rootPem,
        token: await rig.token(NODE_PODS.node2),
        environment: {
          INPOD_UDS: socket,
          NODE_NAME: 'node2',
          POD_NAME: NODE_PODS.node2.name,
          POD_NAMESPACE: 'istio-system',
          SERVICE_ACCOUNT: 'ztunnel',
          INSTANCE_IP: NODE_PODS.node2.ip,
        },
      });
      await ours.ready();
    }, 60_000);

    afterAll(async () => {
      server?.stop();
      agent?.stop('the test is over');
      await theirs?.stop();
      node?.close();
      Bun.spawnSync(['ip', 'netns', 'del', netns], { stderr: 'pipe' });
      await mesh?.stop();
    });

    async function hello(from: Name, to: Name): Promise<Seen | undefined> {
      const namespace = mesh.pair[from].namespace;
      const seen = await dial(namespace, VIPS[to], PORTS.echo).catch(() => undefined);
      if (seen === undefined) return undefined;
      seen.connection.write(Buffer.from('hello'));
      const ended = Promise.race([seen.closed, seen.ended]).then(() => undefined);
      return Promise.race([until(() => (seen.text === 'hello' ? seen : undefined)), ended]);
    }

    test('it is ready once it has the snapshot, and serves a pod that is captured from then on', async () => {
      await theirs.ready();
      agent.capture(request());
      await until(() => (reports.at(-1) === 'enabled' ? true : undefined));
      expect(reports).toEqual(['pending', 'enabled']);
      for (const [from, to] of [
        ['web', 'product'],
        ['product', 'web'],
      ] as const) {
        const seen = (await until(() => hello(from, to))) as Seen;
        seen.connection.end();
        expect(await seen.closed).toBeUndefined();
        const words = [`src.identity="${spiffe(from)}"`, `dst.identity="${spiffe(to)}"`];
        await lineWith(theirs.output, 'connection complete', ...words);
      }
      const signed = mesh.rig.logs.find(
        (line) => line.includes('certificate signed') && line.includes(spiffe('product')),
      );
      expect(signed).toContain('for="istio-system/ztunnel"');
    });

    test('a pod that goes is not served any more; the connections of it end', async () => {
      const open = (await hello('web', 'product')) as Seen;
      agent.forget('pod-uid-product');
      await Promise.race([open.closed, open.ended]);
      await until(async () => ((await hello('web', 'product')) === undefined ? true : undefined));
    });
  },
);
