/** What capture does to the traffic of pods: the real agent, rules, listeners and mutual TLS. Needs root. */
import { describe, expect, test } from 'bun:test';
import { BunDatagrams } from '#net/bun/bun-datagrams.ts';
import { CaptureRig, type RigPod } from '#test/support/capture-rig.ts';
import { eventually, missingFor } from '#test/support/lab.ts';
import { join } from '#test/support/namespaces.ts';
import { call, serveApp } from '#test/support/talk.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;
const PORT = 8080;
const FAMILIES = ['ipv4', 'ipv6'] as const;

const at = (address: string, port = PORT) => ({ address, port });

async function captured(rig: CaptureRig, ...pods: RigPod[]): Promise<void> {
  for (const pod of pods) rig.agent.capture(pod.request());
  await eventually('captured', async () =>
    pods.every(({ announced }) => announced) ? true : undefined,
  );
}

/** Lines of the access log in one direction, once there is one. */
function logged(rig: CaptureRig, direction: 'inbound' | 'outbound'): Promise<string[]> {
  return eventually(`an ${direction} line`, async () => {
    rig.assembly.accessLog.flush();
    const lines = rig.logs.split('\n').filter((line) => line.includes(`direction="${direction}"`));
    return lines.length > 0 ? lines : undefined;
  });
}

describe.skipIf(skip)('a captured pod', () => {
  for (const family of FAMILIES) {
    test(`${family}: both ends captured speak HBONE, and the app sees who really calls`, async () => {
      await using rig = await CaptureRig.start();
      const [client, server] = await rig.addPods(2);
      using app = serveApp(server.namespace.handle, PORT);
      await captured(rig, client, server);
      expect(await call(client.namespace.handle, at(server[family]))).toBe(client[family]);
      expect(app.callers).toEqual([client[family]]);
      const [outbound] = await logged(rig, 'outbound');
      expect(outbound).toContain(':15008');
      const [inbound] = await logged(rig, 'inbound');
      expect(inbound).toContain('src.identity="spiffe://cluster.local/ns/shop/sa/default"');
    });

    test(`${family}: plaintext from outside passes by way of 15006, with its source`, async () => {
      await using rig = await CaptureRig.start();
      const [client, server] = await rig.addPods(2);
      using app = serveApp(server.namespace.handle, PORT);
      await captured(rig, server);
      expect(await call(client.namespace.handle, at(server[family]))).toBe(client[family]);
      expect(app.callers).toEqual([client[family]]);
      const [inbound] = await logged(rig, 'inbound');
      expect(inbound).not.toContain('src.identity');
    });

    test(`${family}: an outgoing connection to no pod goes on as it is, from the pod's own address`, async () => {
      await using rig = await CaptureRig.start();
      const [client, server] = await rig.addPods(2);
      using app = serveApp(server.namespace.handle, PORT);
      await captured(rig, client);
      expect(await call(client.namespace.handle, at(server[family]))).toBe(client[family]);
      expect(app.callers).toEqual([client[family]]);
      expect(await logged(rig, 'outbound')).toHaveLength(1);
    });

    test(`${family}: loopback and its own address are never captured`, async () => {
      await using rig = await CaptureRig.start();
      const pod = await rig.addPod();
      using _app = serveApp(pod.namespace.handle, PORT);
      await captured(rig, pod);
      const loopback = family === 'ipv4' ? ['127.0.0.1', '127.8.8.8'] : ['::1'];
      for (const address of [...loopback, pod[family]]) {
        expect(await call(pod.namespace.handle, at(address))).toBe(
          address === '127.8.8.8' ? '127.0.0.1' : address,
        );
      }
      rig.assembly.accessLog.flush();
      expect(rig.logs).toBe('');
    });

    test(`${family}: the node's own connections, as probes are, pass uncaptured; others from the node do not`, async () => {
      await using rig = await CaptureRig.start();
      const pod = await rig.addPod();
      using app = serveApp(pod.namespace.handle, PORT);
      await captured(rig, pod);
      const probeSource = {
        ipv4: '169.254.7.127',
        ipv6: 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff',
      }[family];
      expect(await call(rig.node.handle, at(pod[family]))).toBe(probeSource);
      rig.assembly.accessLog.flush();
      expect(rig.logs).toBe('');
      expect(app.callers).toEqual([probeSource]);
    });
  }

  test('UDP is untouched, except what asks for names where the proxy answers them', async () => {
    await using rig = await CaptureRig.start();
    const [client, server] = await rig.addPods(2);
    await captured(rig, client, server);
    const answer = await udpEcho(server, client, 5353);
    expect(answer).toBe('hello');
    expect(await udpEcho(server, client, 53)).toBe('hello');
  });

  test('every interface is captured: a second one with a network of its own', async () => {
    await using rig = await CaptureRig.start();
    const [client, server] = await rig.addPods(2);
    join(
      { namespace: client.namespace, device: 'net1', addresses: ['198.18.250.1/24'] },
      { namespace: server.namespace, device: 'net1', addresses: ['198.18.250.2/24'] },
    );
    using app = serveApp(server.namespace.handle, PORT);
    await captured(rig, server);
    expect(await call(client.namespace.handle, at('198.18.250.2'))).toBe('198.18.250.1');
    expect(app.callers).toEqual(['198.18.250.1']);
    expect(await logged(rig, 'inbound')).toHaveLength(1);
  });

  test('what a guest behind a virtual device sends is outbound, and the pod speaks for it', async () => {
    await using rig = await CaptureRig.start();
    const [host, guest, server] = await rig.addPods(3);
    // The guest's packets enter the pod on vnet0 and would be forwarded.
    join(
      { namespace: host.namespace, device: 'vnet0', addresses: ['198.18.251.1/24'] },
      { namespace: guest.namespace, device: 'tap0', addresses: ['198.18.251.2/24'] },
    );
    guest.namespace.ip('route', 'replace', `${server.ipv4}/32`, 'via', '198.18.251.1');
    using app = serveApp(server.namespace.handle, PORT);
    await captured(rig, server);
    rig.agent.capture(host.request({ guestDevices: ['vnet0'] }));
    await eventually('captured', async () => (host.announced ? true : undefined));
    // The proxy speaks for the pod: its identity, its address.
    await call(guest.namespace.handle, at(server.ipv4));
    const [outbound] = await logged(rig, 'outbound');
    expect(outbound).toContain(':15008');
    expect(app.callers).toEqual([host.ipv4]);
  });

  test('bypassing inbound leaves what comes in alone and captures what goes out', async () => {
    await using rig = await CaptureRig.start();
    const [pod, other] = await rig.addPods(2);
    using _app = serveApp(pod.namespace.handle, PORT);
    using _other = serveApp(other.namespace.handle, PORT);
    rig.agent.capture(pod.request({ bypassInbound: true }));
    await eventually('captured', async () => (pod.announced ? true : undefined));
    expect(await call(other.namespace.handle, at(pod.ipv4))).toBe(other.ipv4);
    rig.assembly.accessLog.flush();
    expect(rig.logs).toBe('');
    expect(await call(pod.namespace.handle, at(other.ipv4))).toBe(pod.ipv4);
    expect(await logged(rig, 'outbound')).toHaveLength(1);
  });

  test('a pod that cannot be captured again and again is told once, and tried on', async () => {
    await using rig = await CaptureRig.start();
    const [pod] = await rig.addPods(1);
    rig.agent.keepCapturing({ ...pod.request(), netnsPath: '/run/netns/none', isNew: false });
    await eventually('the failure', async () => rig.failures.length > 0 || undefined);
    expect(rig.failures).toEqual([pod.request().name]);
    rig.agent.keepCapturing({ ...pod.request(), isNew: false });
    await eventually('captured', async () => pod.announced || undefined);
    expect(rig.failures.length).toBe(1);
  });

  test('the namespace of the node itself is never captured, whatever the request says', async () => {
    await using rig = await CaptureRig.start();
    const pod = await rig.addPod();
    const request = { ...pod.request(), netnsPath: '/proc/self/ns/net' };
    expect(() => rig.agent.capture(request)).toThrow(/never captured/);
    expect(rig.agent.has(pod.uid)).toBe(false);
  });
});

/** One datagram from the client and its answer, both by ordinary sockets. */
async function udpEcho(server: RigPod, client: RigPod, port: number): Promise<string> {
  const datagrams = new BunDatagrams();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const onError = reject;
  const app = datagrams.bind(
    { address: server.ipv4, port, namespace: server.namespace.handle },
    { onDatagram: (bytes, from) => void app.send(bytes, from), onError },
  );
  const socket = datagrams.connect(
    { address: server.ipv4, port, namespace: client.namespace.handle },
    { onDatagram: (bytes) => resolve(Buffer.from(bytes).toString()), onError },
  );
  socket.send(Buffer.from('hello'));
  try {
    return await promise;
  } finally {
    socket.close();
    app.close();
  }
}
