/**
 * What goes wrong in one demo lab: parts of the mesh killed under traffic, invalid and contradictory resources,
 * strangers at the door. Nothing ever bypasses the mesh, and every refusal says who is at fault.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { eventually, missingFor, ROOT, run, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'nsenter', 'kubectl', 'curl', 'ss'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;
const EXAMPLE = readFileSync(join(ROOT, 'examples/product-service/product-service.yaml'), 'utf8');

/** One request of a client loop. `viaWaypoint`: the answer shows the header that only a waypoint adds. */
interface Sample {
  atMs: number;
  status: string;
  exit: string;
  viaWaypoint: boolean;
}

interface Status {
  proxies: { kind: string; name: string; sync: string }[];
  findings: { resource: string; path: string }[];
}

describe.skipIf(skip)('faults', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
  }, 60_000);

  afterAll(async () => {
    await lab?.down();
  });

  const inWeb = (...words: string[]) =>
    lab.tulle('exec', '-n', 'shop', 'deploy/web', '--', ...words);
  const inVisitor = (...words: string[]) =>
    lab.tulle('exec', '-n', 'legacy', 'deploy/visitor', '--', ...words);
  const path = async (words: string[], jsonpath: string) =>
    (await lab.kubectl('get', ...words, '-o', `jsonpath=${jsonpath}`)).stdout;
  const podOf = (selector: string, field: string) =>
    path(['pods', '-n', 'shop', '-l', selector], `{.items[0].${field}}`);
  const nodeLogs = async () =>
    (
      await Promise.all(
        ['node1', 'node2'].map((node) =>
          lab.tulle('logs', '-n', 'istio-system', `tulle-node-${node}`, '--tail', '300'),
        ),
      )
    )
      .map(({ stdout }) => stdout)
      .join('\n');
  const status = async () => JSON.parse((await lab.tulle('status', '-o', 'json')).stdout) as Status;
  const restarts = async (name: string) => {
    const { stdout } = await lab.tulle('lab', 'status', '-o', 'json');
    const { parts } = JSON.parse(stdout) as { parts: { name: string; restarts: number }[] };
    return parts.find((part) => part.name.startsWith(name))?.restarts;
  };
  /**
   * Requests from `web`, each on a connection of its own, for so many seconds. One begins each 60 ms or so, whatever became of those
   * before: one that asks for the name just when its proxy is killed waits until the next proxy answers, and a loop that waited with
   * it would step over the gap.
   */
  const loop = async (seconds: number): Promise<Sample[]> => {
    const once =
      'o=$(curl -s -m 5 -w "\\n%{http_code} %{exitcode}" "http://product-service/?headers"); ' +
      'echo "$(date +%s%3N) $(echo "$o" | tail -1) $(echo "$o" | grep -c x-forwarded-for)"';
    const script = `end=$(($(date +%s) + ${seconds})); while [ $(date +%s) -lt $end ]; do { ${once}; } & sleep 0.05; done; wait`;
    const { stdout } = await inWeb('sh', '-c', script);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [atMs = '', code = '', exit = '', forwarded] = line.split(' ');
        return { atMs: Number(atMs), status: code, exit, viaWaypoint: forwarded === '1' };
      });
  };
  const failures = (samples: readonly Sample[]) =>
    samples.filter((sample) => sample.status !== '200' || sample.exit !== '0');
  const bypasses = (samples: readonly Sample[]) =>
    samples.filter((sample) => sample.status === '200' && !sample.viaWaypoint);
  /** From the kill to the last failure. */
  const gapMs = (samples: readonly Sample[], killedAtMs: number) =>
    Math.max(0, ...failures(samples).map((sample) => sample.atMs - killedAtMs));
  const kill = (words: string, environment?: string): number => {
    const pids = lab.processes(words, environment);
    expect(pids).toHaveLength(1);
    process.kill(pids[0] as number, 'SIGKILL');
    return systemClock.wallTime();
  };
  /** Established HBONE connections that begin in web's and the waypoint's namespaces. */
  const hboneConnections = async () => {
    const seen: string[] = [];
    for (const words of ['role sample load', 'role waypoint']) {
      const [pid] = lab.processes(words);
      const command = ['nsenter', '-t', String(pid), '--net', 'ss', '-Htn', 'state', 'established'];
      const { stdout } = await run([...command, 'dport', '=', ':15008']);
      seen.push(...stdout.split('\n').filter((line) => line !== ''));
    }
    return seen.map((line) => line.trim().split(/\s+/).slice(2, 4).join(' > ')).sort();
  };
  const synced = (what: string) =>
    eventually(what, async () => {
      const { proxies } = await status();
      return proxies.length === 3 && proxies.every((proxy) => proxy.sync === 'synced')
        ? true
        : undefined;
    });
  const example = (edit: (text: string) => string = (text) => text) => lab.apply(edit(EXAMPLE));
  const weights = async (stable: number, canary: number) => {
    const { status: exit } = await example((text) =>
      text.replace('weight: 90', `weight: ${stable}`).replace('weight: 10', `weight: ${canary}`),
    );
    expect(exit).toBe(0);
  };
  const versions = async (count: number) => {
    const once = 'curl -s http://product-service/; echo';
    const { stdout } = await inWeb('sh', '-c', `for i in $(seq ${count}); do ${once}; done`);
    return new Set([...stdout.matchAll(/"version":"(v\d)"/g)].map(([, version]) => version));
  };
  const takesEffect = async () => {
    await weights(0, 100);
    await eventually('the new weights', async () => {
      const seen = await versions(10);
      return seen.size === 1 && seen.has('v2') ? true : undefined;
    });
    await weights(90, 10);
  };

  describe('the control plane', () => {
    test('killed under load: no request fails, no connection is made anew, then it serves again', async () => {
      const load = loop(5);
      await sleep(systemClock, 1000);
      const before = await hboneConnections();
      expect(before.length).toBeGreaterThan(1);
      kill('role control');
      const samples = await load;
      expect(samples.length).toBeGreaterThan(20);
      expect(failures(samples)).toEqual([]);
      expect(await hboneConnections()).toEqual(expect.arrayContaining(before));
      expect(await restarts('istiod')).toBe(1);
      await synced('every proxy in sync after the restart');
      await takesEffect();
    }, 60_000);

    test('its pod deleted by force: another takes over', async () => {
      const load = loop(5);
      const before = await hboneConnections();
      const old = await path(
        ['pods', '-n', 'istio-system', '-l', 'app=istiod'],
        '{.items[0].metadata.name}',
      );
      const force = ['--force', '--grace-period=0', '--wait=false'];
      expect((await lab.kubectl('delete', 'pod', old, '-n', 'istio-system', ...force)).status).toBe(
        0,
      );
      expect(failures(await load)).toEqual([]);
      expect(await hboneConnections()).toEqual(expect.arrayContaining(before));
      await synced('every proxy in sync with the new pod');
      await takesEffect();
    }, 60_000);
  });

  test('a killed node proxy is back in 2 s; in between requests fail and none bypasses the mesh', async () => {
    // The scheduler is free: only the proxy of the client's own node stands in this client's way.
    const own = await podOf('app=web', 'spec.nodeName');
    const load = loop(6);
    await sleep(systemClock, 1500);
    const at = kill('role node', `POD_NAME=tulle-node-${own}`);
    const samples = await load;
    const after = samples.filter(({ atMs }) => atMs > at).length;
    process.stderr.write(`${samples.length} requests, ${after} of them after the kill\n`);
    expect(failures(samples).length).toBeGreaterThan(0);
    expect(bypasses(samples)).toEqual([]);
    expect(gapMs(samples, at)).toBeLessThan(2000);
    expect(await restarts(`tulle-node-${own}`)).toBe(1);
    expect(await restarts(`tulle-node-${own === 'node1' ? 'node2' : 'node1'}`)).toBe(0);
    await synced('the node proxy in sync');
  }, 60_000);

  test('a killed waypoint is back in seconds; in between requests fail and none bypasses it', async () => {
    const load = loop(8);
    await sleep(systemClock, 1500);
    const at = kill('role waypoint');
    const samples = await load;
    expect(failures(samples).length).toBeGreaterThan(0);
    expect(bypasses(samples)).toEqual([]);
    expect(gapMs(samples, at)).toBeLessThan(4000);
    expect(await restarts('waypoint')).toBe(1);
    await synced('the waypoint in sync');
  }, 60_000);

  test('a killed API server is started again on its data, and traffic never notices', async () => {
    const load = loop(5);
    await sleep(systemClock, 1000);
    kill('role apiserver');
    await eventually('kubectl', async () => {
      const { stdout } = await lab.kubectl('get', 'vs', '-n', 'shop', '-o', 'name');
      return stdout.includes('product-service') ? true : undefined;
    });
    expect(failures(await load)).toEqual([]);
    await takesEffect();
  }, 60_000);

  test.each([
    ['a weight that is a word', 'weight: 90', 'weight: ninety', 'spec.http[1].route[0].weight'],
    ['a timeout that is no duration', 'timeout: 10s', 'timeout: soon', 'spec.http[1].timeout'],
  ])('%s is refused with its field', async (_title, from, to, field) => {
    const { status: exit, stderr } = await example((text) => text.replace(from, to));
    expect(exit).toBe(1);
    expect(stderr).toContain('VirtualService "product-service" is invalid');
    expect(stderr).toContain(field);
  });

  test.each([
    ['a negative weight', 'weight: 90', 'weight: -1', 'spec.http[1].route[0].weight'],
    ['weights of 0', /weight: \d+/g, 'weight: 0', 'spec.http[1].route'],
    ['negative retries', 'attempts: 3', 'attempts: -1', 'spec.http[1].retries.attempts'],
    [
      'a regular expression that is none',
      'exact: "true"',
      'regex: "("',
      'spec.http[0].match[0].headers[x-canary].regex',
    ],
  ])(
    '%s is a finding, and the last good version stays in force',
    async (_title, from, to, field) => {
      expect((await example((text) => text.replace(from, to))).status).toBe(0);
      const finding = await eventually('the finding', async () =>
        (await status()).findings.find((one) => one.path === field),
      );
      expect(finding.resource).toContain('shop/product-service');
      const { stdout } = await inWeb(
        ...['curl', '-s', '-H', 'x-canary: true', 'http://product-service/'],
      );
      expect(stdout).toContain('"version":"v2"');
      expect(await versions(60)).toEqual(new Set(['v1', 'v2']));
      expect((await example()).status).toBe(0);
      await eventually('no finding', async () =>
        (await status()).findings.length === 0 ? true : undefined,
      );
    },
    30_000,
  );

  test.each([
    [
      'an unknown host',
      (text: string) =>
        text.replaceAll(
          'host: product-service\n            subset',
          'host: nowhere\n            subset',
        ),
      '503',
      'host nowhere.shop.svc.cluster.local does not exist',
    ],
    [
      'an unknown subset',
      (text: string) =>
        text.replace('subset: stable', 'subset: missing').replace('weight: 10', 'weight: 0'),
      '503',
      'no DestinationRule defines subset missing',
    ],
    [
      'no rule that matches',
      (text: string) =>
        text.replace('    - route:\n', '    - match: [{uri: {exact: /never}}]\n      route:\n'),
      '404',
      '(VirtualService shop/product-service)',
    ],
  ])(
    '%s: the answer is Istio’s, and the log names the object',
    async (_title, edit, code, reason) => {
      expect((await example(edit)).status).toBe(0);
      const format = ['-s', '-w', '\n%{http_code}'];
      const body = await eventually(`${code}`, async () => {
        const { stdout } = await inWeb('curl', ...format, 'http://product-service/');
        const [text = '', ...rest] = stdout.trim().split('\n');
        const last = rest.at(-1) ?? text;
        return last === code && text.includes(reason) ? text : undefined;
      });
      expect(body.length).toBeLessThan(200);
      await eventually('the log line', async () => {
        const { stdout } = await lab.tulle('logs', '-n', 'shop', 'deploy/waypoint', '--tail', '20');
        const line = stdout
          .split('\n')
          .find((one) => one.includes(` ${code} `) && one.includes(reason));
        return line?.includes('shop/product-service') ? true : undefined;
      });
      expect((await example()).status).toBe(0);
      await eventually('200', async () => ((await versions(1)).size === 1 ? true : undefined));
    },
    30_000,
  );

  test('a direct call to a pod shows the client’s own address; through the waypoint a header has it', async () => {
    const client = await podOf('app=web', 'status.podIP');
    const server = await podOf('version=v2', 'status.podIP');
    const direct = await inWeb('curl', '-s', `http://${server}:8080/`);
    expect(JSON.parse(direct.stdout)).toMatchObject({ remoteAddress: client });
    const routed = await inWeb('curl', '-s', 'http://product-service/?headers');
    expect(JSON.parse(routed.stdout)).toMatchObject({ headers: { 'x-forwarded-for': client } });
  });

  test('STRICT: a plaintext stranger is refused by name of the policy, and probes go on', async () => {
    const object = {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'default', namespace: 'shop' },
      spec: { mtls: { mode: 'STRICT' } },
    };
    const server = await podOf('version=v2', 'status.podIP');
    expect((await lab.apply(JSON.stringify(object))).status).toBe(0);
    await eventually('the refusal', async () => {
      const { status: exit } = await inVisitor('curl', '-s', '-m', '3', `http://${server}:8080/`);
      return exit === 0 ? undefined : true;
    });
    await eventually('the denial in the log', async () => {
      const line = (await nodeLogs()).split('\n').find((one) => one.includes('explicitly denied'));
      return line?.includes('STRICT PeerAuthentication') ? true : undefined;
    });
    // Started under STRICT, a pod becomes ready by its probes alone.
    const scaled = (replicas: number) =>
      lab.kubectl('scale', 'deploy/product-service-v2', '-n', 'shop', `--replicas=${replicas}`);
    await scaled(2);
    const rollout = ['rollout', 'status', 'deploy/product-service-v2', '-n', 'shop'];
    expect((await lab.kubectl(...rollout, '--timeout=60s')).status).toBe(0);
    await scaled(1);
    await lab.kubectl('delete', 'peerauthentication', 'default', '-n', 'shop');
  }, 120_000);

  test('a running namespace is enrolled and let go without a restart', async () => {
    const uid = await path(['pods', '-n', 'legacy'], '{.items[0].metadata.uid}');
    const facts = () =>
      path(
        ['pods', '-n', 'legacy'],
        '{.items[0].metadata.uid} {.items[0].status.containerStatuses[0].containerID}',
      );
    const before = await facts();
    const rules = async () => {
      const { stdout } = await run(
        lab.onNode('node1', ['nsenter', `--net=/run/netns/${uid}`, 'nft', 'list', 'ruleset']),
      );
      return stdout.trim();
    };
    expect(await rules()).toBe('');
    expect((await lab.tulle('enroll', 'legacy')).status).toBe(0);
    await eventually('the rules', async () => ((await rules()) === '' ? undefined : true));
    const request = () => inVisitor('curl', '-s', 'http://product-service.shop/?headers');
    await eventually('an answer through the waypoint', async () =>
      (await request()).stdout.includes('x-forwarded-for') ? true : undefined,
    );
    await eventually('the identity in the log', async () =>
      (await nodeLogs()).includes('src.identity="spiffe://cluster.local/ns/legacy/sa/')
        ? true
        : undefined,
    );
    expect((await lab.tulle('unenroll', 'legacy')).status).toBe(0);
    await eventually('no rules', async () => ((await rules()) === '' ? true : undefined));
    expect((await request()).stdout).not.toContain('x-forwarded-for');
    expect(await facts()).toBe(before);
  }, 120_000);
});
