/** Letting running pods into the mesh and out of it: who is interrupted, and what is left. Needs root. */

import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Authorization } from '#model/authorization/authorization.ts';
import { NO_MATCH } from '#model/authorization/authorization.ts';
import { CaptureRig, type RigPod } from '#test/support/capture-rig.ts';
import { eventually, missingFor } from '#test/support/lab.ts';
import { call, dial, serveApp, type Talk } from '#test/support/talk.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter', 'ss'], root: true }) !== undefined;
const PORT = 8080;
const FAMILIES = ['ipv4', 'ipv6'] as const;
const at = (address: string, port = PORT) => ({ address, port });

/** What a client that is refused sees: the reset, or when it comes before the first byte is written, the end. */
const BROKEN_OFF = ['NET_RESET', 'closed'];

const STRICT: Authorization = {
  name: 'strict',
  namespace: 'shop',
  scope: 'namespace',
  action: 'deny',
  rules: [{ clauses: [[{ ...NO_MATCH, notPrincipals: [{ kind: 'presence' }] }]] }],
  dryRun: false,
};

/** A stream both ways that never rests: what comes back must be what was sent, byte for byte. */
class Stream {
  static readonly #WINDOW = 64 * 1024;
  readonly talk: Talk;
  failure: string | undefined;
  #sent = 0;
  #checked = 0;
  #greeted = false;

  private constructor(talk: Talk) {
    this.talk = talk;
    const { handler } = talk.connection;
    const onData = handler.onData.bind(handler);
    handler.onData = (bytes) => {
      this.#check(this.#greeted ? bytes : this.#skipGreeting(bytes));
      onData(bytes);
      this.#fill();
    };
    talk.closed.then((error) => {
      this.failure ??= error?.code ?? 'closed';
    });
    this.#fill();
  }

  static async open(from: RigPod, to: string): Promise<Stream> {
    const stream = new Stream(await dial(from.namespace.handle, at(to)));
    await stream.flows();
    return stream;
  }

  /** Another window's worth has come back whole. */
  async flows(): Promise<void> {
    const goal = this.#checked + 2 * Stream.#WINDOW;
    await this.talk.until(() => this.#checked >= goal || this.failure !== undefined);
    expect(this.failure).toBeUndefined();
  }

  async end(): Promise<void> {
    this.talk.connection.end();
    await this.talk.closed;
  }

  #fill(): void {
    while (this.#sent - this.#checked < Stream.#WINDOW) {
      const chunk = new Uint8Array(4096);
      for (let index = 0; index < chunk.length; index++) chunk[index] = byteAt(this.#sent + index);
      this.#sent += chunk.length;
      this.talk.send(chunk);
    }
  }

  #skipGreeting(bytes: Uint8Array): Uint8Array {
    const end = bytes.indexOf(10);
    this.#greeted = end >= 0;
    return end < 0 ? new Uint8Array() : bytes.subarray(end + 1);
  }

  #check(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte !== byteAt(this.#checked)) this.failure ??= `byte ${this.#checked} is wrong`;
      this.#checked++;
    }
  }
}

const byteAt = (index: number) => (index * 31 + (index >> 8)) & 255;

async function captured(rig: CaptureRig, ...pods: RigPod[]): Promise<void> {
  for (const pod of pods) rig.agent.capture(pod.request());
  await eventually('captured', async () =>
    pods.every(({ announced }) => announced) ? true : undefined,
  );
}

async function gone(rig: CaptureRig, ...pods: RigPod[]): Promise<void> {
  await eventually('gone', async () =>
    pods.every(({ uid }) => rig.agent.isStranger(uid)) ? true : undefined,
  );
}

/** Everything that capture could leave in a namespace. */
const traces = (pod: RigPod) =>
  pod.namespace.listing() +
  pod.namespace.run('sh', '-c', 'ss -Htuln; cat /proc/sys/net/ipv4/tcp_migrate_req');

describe.skipIf(skip)('a running pod', () => {
  for (const family of FAMILIES) {
    test(`${family}: streams from before live through enrolment and release of both ends, every byte of them`, async () => {
      await using rig = await CaptureRig.start();
      const [client, server] = await rig.addPods(2);
      using _app = serveApp(server.namespace.handle, PORT);
      using _reverse = serveApp(client.namespace.handle, PORT);
      const streams = await Promise.all([
        Stream.open(client, server[family]),
        Stream.open(server, client[family]),
      ]);
      const flow = () => Promise.all(streams.map((stream) => stream.flows()));
      await captured(rig, client, server);
      await flow();
      // Not through the proxy, and beside it new ones are.
      rig.assembly.accessLog.flush();
      expect(rig.logs).toBe('');
      expect(await call(client.namespace.handle, at(server[family]))).toBe(client[family]);
      rig.agent.release(client.uid);
      rig.agent.release(server.uid);
      await flow();
      await gone(rig, client, server);
      await flow();
    });

    test(`${family}: streams through the proxy finish after release, new ones pass by, and nothing is left`, async () => {
      await using rig = await CaptureRig.start();
      const [client, server] = await rig.addPods(2);
      client.namespace.nft(
        'table inet mine { chain out { type nat hook output priority -100; tcp dport 81 accept; }; }',
      );
      using _app = serveApp(server.namespace.handle, PORT);
      const before = [traces(client), traces(server)];
      await captured(rig, client, server);
      const stream = await Stream.open(client, server[family]);
      rig.agent.release(server.uid);
      rig.agent.release(client.uid);
      await stream.flows();
      // One pod is let go in a turn of the loop.
      for (const pod of [client, server]) {
        await eventually('no redirection', async () =>
          pod.namespace.listing().includes('redirect to') ? undefined : true,
        );
      }
      // The calls before have their lines: what is open is the stream, seen from both pods.
      const { live } = rig.assembly.context.telemetry;
      await eventually('only the stream', async () => (live.size === 2 ? true : undefined));
      rig.assembly.accessLog.flush();
      rig.logs = '';
      expect(await call(client.namespace.handle, at(server[family]))).toBe(client[family]);
      rig.assembly.accessLog.flush();
      expect(rig.logs).not.toContain('direction=');
      expect(client.reports).toEqual(['pending', 'enabled', undefined]);
      await stream.flows();
      await stream.end();
      await gone(rig, client, server);
      expect([traces(client), traces(server)]).toEqual(before);
      expect(rig.node.run('nft', 'list', 'ruleset')).not.toMatch(/elements/);
    });
  }

  test('a pod that is leaving when its proxy ends is left as it was before the mesh', async () => {
    await using rig = await CaptureRig.start({ times: { settleMs: 60_000 } });
    const pod = await rig.addPod();
    const before = traces(pod);
    await captured(rig, pod);
    rig.agent.release(pod.uid);
    await eventually('leaving', async () => (rig.agent.has(pod.uid) ? undefined : true));
    await eventually('no redirection', async () =>
      pod.namespace.listing().includes('redirect to') ? undefined : true,
    );
    expect(pod.namespace.listing()).toContain('istio-ambient-nat');
    rig.restartAgent();
    expect(traces(pod)).toBe(before);
  });

  test('what has not finished when the time to drain is over is cut, and the log says so', async () => {
    await using rig = await CaptureRig.start({ times: { settleMs: 1, drainMs: 100 } });
    const [client, server] = await rig.addPods(2);
    using _app = serveApp(server.namespace.handle, PORT);
    await captured(rig, client, server);
    const stream = await Stream.open(client, server.ipv4);
    rig.agent.release(server.uid);
    await stream.talk.closed;
    await gone(rig, server);
    rig.assembly.accessLog.flush();
    expect(rig.logs).toContain('the pod has left the mesh');
  });

  test('a pod that comes back while it drains is captured again, and its streams go on', async () => {
    await using rig = await CaptureRig.start({ times: { settleMs: 1 } });
    const [client, server] = await rig.addPods(2);
    using _app = serveApp(server.namespace.handle, PORT);
    await captured(rig, client, server);
    const stream = await Stream.open(client, server.ipv4);
    rig.agent.release(server.uid);
    // Its listeners are closed: it drains.
    await eventually('no listener', async () =>
      server.namespace.run('ss', '-Htln', 'sport = :15008') === '' ? true : undefined,
    );
    await captured(rig, server);
    await stream.flows();
    rig.assembly.accessLog.flush();
    rig.logs = '';
    expect(await call(client.namespace.handle, at(server.ipv4))).toBe(client.ipv4);
    rig.assembly.accessLog.flush();
    expect(rig.logs).toContain('direction="inbound"');
  });

  test('is not captured before the control plane has everything; until then it goes on as it was', async () => {
    await using rig = await CaptureRig.start({ lateControlPlane: true });
    const [client, server] = await rig.addPods(2);
    using _app = serveApp(server.namespace.handle, PORT);
    rig.setAuthorizations([STRICT]);
    const before = server.namespace.listing();
    rig.agent.capture(server.request());
    expect(server.reports).toEqual([]);
    expect(server.namespace.listing()).toBe(before);
    expect(rig.agent.incomplete).toBe('shop/pod-1');
    expect(await call(client.namespace.handle, at(server.ipv4))).toBe(client.ipv4);
    rig.deliver();
    await captured(rig, server);
    expect(server.reports).toEqual(['pending', 'enabled']);
    expect(BROKEN_OFF).toContain(await call(client.namespace.handle, at(server.ipv4)));
  });

  test('other options take effect in one step, and streams through the proxy do not notice', async () => {
    await using rig = await CaptureRig.start();
    const [client, server] = await rig.addPods(2);
    using _app = serveApp(server.namespace.handle, PORT);
    await captured(rig, client, server);
    const stream = await Stream.open(client, server.ipv4);
    for (const options of [{ bypassInbound: true }, { dns: true }, { guestDevices: ['vnet0'] }]) {
      const { options: wanted } = server.request(options);
      rig.agent.update(server.uid, wanted);
      await eventually('the rules', async () => {
        const listing = server.namespace.listing();
        const matches =
          listing.includes(':15006') !== wanted.bypassInbound &&
          listing.includes(':15053') === wanted.dns &&
          listing.includes('vnet0') === wanted.guestDevices.length > 0;
        return matches ? true : undefined;
      });
      await stream.flows();
    }
    await stream.end();
  });
});

describe.skipIf(skip)('a new pod', () => {
  test('answers nobody in plaintext from its first moment under STRICT, however late the control plane', async () => {
    await using rig = await CaptureRig.start({ lateControlPlane: true });
    const [client, server] = await rig.addPods(2);
    rig.setAuthorizations([STRICT]);
    let hammering = true;
    const outcomes = new Map<string, number>();
    const hammer = async () => {
      while (hammering) {
        const outcome = await call(client.namespace.handle, at(server.ipv4));
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    };
    const hammers = [hammer(), hammer(), hammer()];
    await using _end = {
      async [Symbol.asyncDispose]() {
        hammering = false;
        await Promise.all(hammers);
      },
    };
    rig.agent.capture(server.request({}, true));
    expect(server.reports).toEqual(['pending']);
    // The first process of the pod.
    using app = serveApp(server.namespace.handle, PORT);
    await eventually('connections held back', async () =>
      server.namespace.run('ss', '-Htn', 'sport = :15006') !== '' ? true : undefined,
    );
    rig.deliver();
    await eventually('captured', async () => (server.captured ? true : undefined));
    expect(server.reports).toEqual(['pending', 'enabled']);
    const refusals = () => BROKEN_OFF.reduce((sum, each) => sum + (outcomes.get(each) ?? 0), 0);
    await eventually('refusals', async () => (refusals() > 20 ? true : undefined));
    expect(app.callers).toEqual([]);
    expect([...outcomes.keys()]).not.toContain(client.ipv4);
    // It was tried before there was anything, too.
    expect(outcomes.get('NET_CONNECT_REFUSED')).toBeGreaterThan(0);
    await captured(rig, client);
    expect(await call(client.namespace.handle, at(server.ipv4))).toBe(client.ipv4);
  });

  test('its first process reaches the network: what it asks for early waits for the control plane', async () => {
    await using rig = await CaptureRig.start({ lateControlPlane: true });
    const [pod, server] = await rig.addPods(2);
    using _app = serveApp(server.namespace.handle, PORT);
    rig.agent.capture(pod.request({}, true));
    const early = call(pod.namespace.handle, at(server.ipv4));
    await eventually('the connection', async () =>
      pod.namespace.run('ss', '-Htn', 'sport = :15001') !== '' ? true : undefined,
    );
    rig.deliver();
    expect(await early).toBe(pod.ipv4);
  });

  test('asked for by the plugin while it is known as running gets its rules at once all the same', async () => {
    await using rig = await CaptureRig.start({ lateControlPlane: true });
    const pod = await rig.addPod();
    rig.agent.capture(pod.request());
    expect(pod.reports).toEqual([]);
    rig.agent.capture(pod.request({}, true));
    expect(pod.reports).toEqual(['pending']);
    expect(pod.namespace.listing()).toContain('redirect to :15006');
  });

  test('with the uid of another sandbox starts over there', async () => {
    await using rig = await CaptureRig.start();
    const [first, second] = await rig.addPods(2);
    await captured(rig, first);
    rig.agent.capture({ ...first.request({}, true), netnsPath: second.namespace.path });
    expect(second.namespace.listing()).toContain('redirect to :15006');
    expect(second.namespace.run('ss', '-Htln', 'sport = :15001')).not.toBe('');
    expect(first.namespace.run('ss', '-Htln', 'sport = :15001')).toBe('');
  });
});

describe.skipIf(skip)('a pod whose proxy is gone', () => {
  test('lets nothing through in either direction; the next proxy takes it up where it was', async () => {
    await using rig = await CaptureRig.start();
    const [pod, other] = await rig.addPods(2);
    using app = serveApp(pod.namespace.handle, PORT);
    using elsewhere = serveApp(other.namespace.handle, PORT);
    await captured(rig, pod);
    rig.restartAgent();
    for (const [from, to] of [
      [other, pod],
      [pod, other],
    ]) {
      expect(await call(from.namespace.handle, at(to.ipv4))).toBe('NET_CONNECT_REFUSED');
    }
    expect([...app.callers, ...elsewhere.callers]).toEqual([]);
    rig.agent.capture({ ...pod.request(), wasCaptured: true });
    await eventually('served', async () => (rig.agent.incomplete === undefined ? true : undefined));
    expect(await call(other.namespace.handle, at(pod.ipv4))).toBe(other.ipv4);
    expect(pod.reports.slice(2)).not.toContain('pending');
  });

  test('and that has left the mesh meanwhile is cleared', async () => {
    await using rig = await CaptureRig.start();
    const [pod, other] = await rig.addPods(2);
    using _app = serveApp(pod.namespace.handle, PORT);
    const before = pod.namespace.listing();
    await captured(rig, pod);
    rig.restartAgent();
    rig.agent.clear({ ...pod.request(), wasCaptured: true });
    expect(pod.namespace.listing()).toBe(before);
    expect(pod.reports.at(-1)).toBeUndefined();
    expect(await call(other.namespace.handle, at(pod.ipv4))).toBe(other.ipv4);
  });
});

describe.skipIf(skip)('a pod that two generations serve', () => {
  test('has the rules of the later one; the earlier does not put back its own', async () => {
    await using rig = await CaptureRig.start();
    const pod = await rig.addPod();
    await captured(rig, pod);
    const earlier = rig.agent;
    rig.addGeneration();
    rig.agent.capture({ ...pod.request({ bypassInbound: true }), wasCaptured: true });
    await eventually('the later', async () =>
      rig.agent.incomplete === undefined ? true : undefined,
    );
    const differences = (agent: typeof earlier) =>
      agent.watched.flatMap((watched) => watched.differences());
    expect([differences(earlier), differences(rig.agent)]).toEqual([[], []]);
    expect(pod.namespace.listing()).not.toContain(':15006');
    rig.agent.stop('it ends first');
    // Alone again, the earlier one is in charge.
    expect(differences(earlier)).toEqual(['tables']);
    earlier.stop('the test is over');
  });
});

describe.skipIf(skip)('a pod that data workers serve, too', () => {
  /** As many as threads: the main one and two workers. */
  const listening = (pod: RigPod, port: number) =>
    pod.namespace.run('ss', '-Htln', `sport = :${port}`).split('\n').filter(Boolean).length;

  test('has its listeners back in every thread when it comes back while it drains, and after somebody took them', async () => {
    await using rig = await CaptureRig.start({ times: { settleMs: 1 }, workers: 2 });
    const [client, server] = await rig.addPods(2);
    using _app = serveApp(server.namespace.handle, PORT);
    await captured(rig, client, server);
    const all = async () =>
      [15001, 15006, 15008].every((port) => listening(server, port) === 3) ? true : undefined;
    await eventually('every listener', all);
    const stream = await Stream.open(client, server.ipv4);
    rig.agent.release(server.uid);
    await eventually('no listener', async () =>
      listening(server, 15008) === 0 ? true : undefined,
    );
    await captured(rig, server);
    await eventually('every listener again', all);
    await stream.flows();
    server.namespace.run('ss', '-K', '-l', '-t', 'sport = :15008');
    await eventually('every listener repaired', all);
    await stream.flows();
    for (let turn = 0; turn < 12; turn++) {
      expect(await call(client.namespace.handle, at(server.ipv4))).toBe(client.ipv4);
    }
    await stream.end();
    rig.agent.release(server.uid);
    await gone(rig, server);
  });
});

describe.skipIf(skip)('the reconciler', () => {
  const PORTS = [15001, 15006, 15008, 15053];
  const broken: { title: string; repairs: string[]; by(pod: RigPod): void }[] = [
    {
      title: 'all rules',
      repairs: ['tables'],
      by: ({ namespace }) => namespace.nft('flush ruleset'),
    },
    {
      title: 'routes and policy rules',
      repairs: ['ipv4 rule', 'ipv4 route', 'ipv6 rule', 'ipv6 route'],
      by: ({ namespace }) => {
        for (const family of ['-4', '-6']) {
          namespace.ip(family, 'rule', 'del', 'pref', '32764');
          namespace.ip(family, 'route', 'flush', 'table', '100');
        }
      },
    },
    {
      title: 'every listener',
      repairs: ['listener 15001', 'listener 15006', 'listener 15008', 'listener 15053'],
      by: ({ namespace }) =>
        void namespace.run(
          ...['ss', '-K', '-l', '-t', PORTS.map((port) => `sport = :${port}`).join(' or ')],
        ),
    },
  ];
  for (const { title, repairs, by } of broken) {
    test(`puts back ${title}`, async () => {
      await using rig = await CaptureRig.start();
      const [client, server] = await rig.addPods(2);
      using _app = serveApp(server.namespace.handle, PORT);
      rig.setAuthorizations([STRICT]);
      await captured(rig, client, server);
      rig.agent.update(server.uid, server.request({ dns: true }).options);
      await eventually('look-ups captured', async () =>
        server.namespace.listing().includes(':15053') ? true : undefined,
      );
      by(server);
      await eventually('the repair', async () => (rig.repairs.length > 0 ? true : undefined));
      expect([...rig.repairs].sort()).toEqual([...repairs].sort());
      expect(await call(client.namespace.handle, at(server.ipv4))).toBe(client.ipv4);
      expect(await call(client.namespace.handle, at(server.ipv6))).toBe(client.ipv6);
    });
  }

  test('puts back who is exempt on the node', async () => {
    await using rig = await CaptureRig.start();
    const pod = await rig.addPod();
    await captured(rig, pod);
    rig.node.nft('flush ruleset');
    await eventually('the repair', async () => (rig.repairs.length > 0 ? true : undefined));
    expect(rig.repairs).toEqual(['probe exemption']);
    expect(rig.node.run('nft', 'list', 'ruleset')).toContain(pod.ipv4);
  });

  test('leaves a namespace alone that its runtime has let go of: the pod is ending', async () => {
    await using rig = await CaptureRig.start();
    const pod = await rig.addPod();
    const folder = mkdtempSync(join(tmpdir(), 'tulle-netns-'));
    const netnsPath = join(folder, 'cni-1');
    symlinkSync(pod.namespace.path, netnsPath);
    rig.agent.capture({ ...pod.request(), netnsPath });
    await eventually('captured', async () => pod.captured || undefined);
    const [watched] = rig.agent.watched;
    rmSync(folder, { recursive: true });
    pod.namespace.nft('flush ruleset');
    expect(watched.differences()).toEqual([]);
    mkdirSync(folder);
    symlinkSync(pod.namespace.path, netnsPath);
    expect(watched.differences()).not.toEqual([]);
    rmSync(folder, { recursive: true });
  });
});
