/**
 * Certificates that live for seconds under mixed traffic: renewed without a failed request, from one root to another by way of both; and
 * what becomes of traffic when the CA stays away for longer than they live. Needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createRoot, loadAuthority, type RootMaterial } from '#identity/ca/authority.ts';
import type { SvidSigner } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import { CapturedPair, SERVICE_IP } from '#test/support/captured-pair.ts';
import { missingFor } from '#test/support/lab.ts';
import {
  failuresOf,
  parseTraffic,
  TRAFFIC_LOAD,
  TRAFFIC_SERVER,
} from '#test/support/traffic/traffic.ts';
import { type Assembly, assembleNode } from './assemble.ts';
import { readStaticMesh } from './config/static-file.ts';
import { MeshSnapshot } from './state/mesh-snapshot.ts';
import { WorkloadProxy } from './workload/workload-proxy.ts';

const skip = missingFor({ programs: ['ip', 'nsenter'], root: true }) !== undefined;
const TTL_SECONDS = 4;
const deps = { clock: systemClock, random: systemRandom };

const WEB = 'spiffe://cluster.local/ns/shop/sa/web';
const PRODUCT = 'spiffe://cluster.local/ns/shop/sa/product';

/** A CA in this process; what it signs with, for each principal, and whether it answers can be changed. */
class Signer implements SvidSigner {
  readonly materials = new Map<string, RootMaterial>();
  away = false;

  async sign(request: Parameters<SvidSigner['sign']>[0]) {
    const material = this.materials.get(request.principal);
    if (this.away || material === undefined) {
      throw new MeshError('GRPC_UNAVAILABLE', 'the CA is away', { side: 'upstream', hint: 'wait' });
    }
    return (await loadAuthority(deps, material)).sign(request);
  }

  close(): void {
    return;
  }
}

describe.skipIf(skip)('certificates that live for seconds', () => {
  let pair: CapturedPair;
  let signer: Signer;
  let assembly: Assembly;
  let proxies: WorkloadProxy[] = [];
  let logs = '';
  let old: RootMaterial;

  beforeAll(async () => {
    pair = await CapturedPair.make();
    pair.start(pair.server.inside(TRAFFIC_SERVER));
    old = await createRoot(deps, 'old');
    signer = new Signer();
    for (const who of [WEB, PRODUCT]) signer.materials.set(who, old);
    const identities = createSvidStore(
      { ...deps, log: silentLogger, signer },
      { ttlSeconds: TTL_SECONDS },
    );
    assembly = assembleNode({
      log: silentLogger,
      identities,
      trustDomain: 'cluster.local',
      logFormat: 'text',
      write(text) {
        logs += text;
        return true;
      },
    });
    const { addresses } = readStaticMesh(pair.meshFile);
    assembly.context.state.replace(new MeshSnapshot({ version: 1, addresses, authorizations: [] }));
    proxies = [
      { name: 'web', netns: pair.client.handle },
      { name: 'product', netns: pair.server.handle },
    ].map(({ name, netns }) => {
      const pod = { uid: name, namespace: 'shop', name, serviceAccount: name, netns };
      const proxy = new WorkloadProxy(assembly.context, pod, { listenAddress: '::' });
      proxy.start();
      return proxy;
    });
    await Promise.all(proxies.map((proxy) => new Promise<void>((done) => proxy.whenReady(done))));
  });

  afterAll(async () => {
    for (const proxy of proxies) proxy.stop('the test is over');
    assembly?.context.identities.stop();
    assembly?.context.pool.close();
    await pair?.[Symbol.asyncDispose]();
  });

  const load = (seconds: number) =>
    pair.start(pair.client.inside([...TRAFFIC_LOAD, SERVICE_IP, String(seconds)]));
  const until = async (condition: () => boolean) => {
    while (!condition()) await Bun.sleep(10);
  };
  /** Who signed the certificate in force, and which roots came with it. */
  const inForce = (who: string) => {
    const identity = assembly.context.identities.get(who as Principal);
    if (identity === undefined) return undefined;
    const { issuer } = new X509Certificate(identity.certificateChain);
    return `${issuer} ${identity.trustBundle}`;
  };

  test('are renewed again and again, then by a new root by way of both, pod after pod, while not one request fails', async () => {
    const next = await createRoot(deps, 'new');
    const roots = `${old.certificate}${next.certificate}`;
    const traffic = load(9);
    await traffic.says('running');
    for (const [who, material, issuer] of [
      [WEB, { ...old, roots }, 'O=old'],
      [PRODUCT, { ...old, roots }, 'O=old'],
      [PRODUCT, { ...next, roots }, 'O=new'],
      [WEB, { ...next, roots }, 'O=new'],
      [WEB, next, 'O=new'],
      [PRODUCT, next, 'O=new'],
    ] as const) {
      signer.materials.set(who, material);
      const bundle = 'roots' in material ? roots : next.certificate;
      await until(() => inForce(who) === `${issuer} ${bundle}`);
    }
    await traffic.exited;
    const kinds = parseTraffic(traffic.output());
    expect(failuresOf(kinds)).toEqual([]);
    for (const { ok } of Object.values(kinds)) expect(ok).toBeGreaterThan(50);
  }, 120_000);

  test('stay in force while the CA is away; when they have ended, new connections hear why and the stream goes on', async () => {
    const stream = load(60);
    await stream.says('running');
    const streams = () =>
      [...assembly.context.telemetry.live].filter(({ facts }) =>
        facts.hboneAuthority?.endsWith(':8082'),
      );
    const begun = streams();
    // Seen from both ends.
    expect(begun).toHaveLength(2);
    signer.away = true;
    const { identities } = assembly.context;
    const states = () => identities.status().map(({ state }) => state);
    expect(states()).toEqual(['ready', 'ready']);
    await until(() => states().every((state) => state === 'unavailable'));
    assembly.accessLog.flush();
    logs = '';
    const refused = () => {
      assembly.accessLog.flush();
      return logs.split('\n').find((line) => line.includes('no certificate for spiffe://'));
    };
    await until(() => refused() !== undefined);
    expect(refused()).toContain('reason="no certificate"');
    expect(streams()).toEqual(begun);
    expect(identities.status()[0]?.lastError).toBe('the CA is away');
    signer.away = false;
    await until(() => states().every((state) => state === 'ready'));
    const traffic = load(1);
    await traffic.exited;
    expect(failuresOf(parseTraffic(traffic.output()))).toEqual([]);
    stream.kill('SIGKILL');
    await stream.exited;
  }, 120_000);
});
