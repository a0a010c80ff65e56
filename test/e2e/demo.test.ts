/**
 * The demo as a user runs it: real processes, real mTLS between two nodes, the user's own VirtualService and
 * DestinationRule, the real kubectl and curl.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { eventually, missingFor, ROOT, run, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl', 'tcpdump', 'openssl'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;
const PAYLOAD = 'plaintext-must-never-cross-the-wire';
const REQUEST_ID = '7e57ab1e-0000-4000-8000-000000000001';

interface Answer {
  version: string;
}

describe.skipIf(skip)('lab up --demo', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
  }, 60_000);

  afterAll(async () => {
    await lab?.down();
  });

  const inWeb = (...words: string[]) =>
    lab.tulle('exec', '-n', 'shop', 'deploy/web', '--', ...words);
  /** Many requests from one exec: a shell loop in the client pod prints one answer a line. */
  const many = async (count: number, flags = ''): Promise<Answer[]> => {
    const loop = `for i in $(seq ${count}); do curl -s ${flags} http://product-service/; echo; done`;
    const { stdout, stderr, status } = await inWeb('sh', '-c', loop);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lines = stdout.split('\n').filter((line) => line.trim() !== '');
    return lines.map((line) => JSON.parse(line) as Answer);
  };
  const versions = (answers: readonly Answer[]) => [...new Set(answers.map((one) => one.version))];
  const podIp = async (selector: string) => {
    const path = 'jsonpath={.items[0].status.podIP}';
    return (await lab.kubectl('get', 'pods', '-n', 'shop', '-l', selector, '-o', path)).stdout;
  };

  test('prints what it did and the commands to try next', () => {
    for (const word of ['kubeconfig', 'x-canary: true', 'kubectl', 'graph'])
      expect(lab.output).toContain(word);
  });

  test('lab status says that everything is ready', async () => {
    const { stdout, status } = await lab.tulle('lab', 'status', '-o', 'json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'running', ready: true });
  });

  test('a request is answered through the waypoint, whose access log has it', async () => {
    const { stdout } = await inWeb(
      'curl',
      '-s',
      '-H',
      `x-request-id: ${REQUEST_ID}`,
      'http://product-service/',
    );
    expect(['v1', 'v2']).toContain((JSON.parse(stdout) as Answer).version);
    await eventually('the access log line', async () => {
      const log = await lab.tulle('logs', '-n', 'shop', 'deploy/waypoint', '--tail', '400');
      return log.stdout.includes(REQUEST_ID) ? true : undefined;
    });
  });

  test('look-ups of a captured pod are answered by the proxy of its node, or passed on', async () => {
    const path = 'jsonpath={.items[0].status.hostIP}';
    const node = await lab.kubectl('get', 'pods', '-n', 'shop', '-l', 'app=web', '-o', path);
    const metrics = `curl -s http://${node.stdout}:15020/metrics`;
    const script = `getent hosts product-service; getent hosts www.example.org; ${metrics}`;
    const { stdout } = await inWeb('sh', '-c', script);
    expect(stdout).toMatch(/^198\.19\.\d+\.\d+ +product-service\.shop\.svc\.cluster\.local/);
    const host = 'product-service.shop.svc.cluster.local';
    expect(stdout).toMatch(new RegExp(`lookups_total\\{host="${host}",result="answered"\\} [1-9]`));
    expect(stdout).toMatch(/lookups_total\{host="other",result="forwarded"\} [1-9]/);
  });

  test('1,000 requests split 90/10 within 3 points', async () => {
    const answers = await many(1000);
    expect(answers.length).toBe(1000);
    const share = answers.filter((answer) => answer.version === 'v2').length / answers.length;
    expect(share).toBeGreaterThan(0.07);
    expect(share).toBeLessThan(0.13);
  }, 120_000);

  test('x-canary: true always reaches v2', async () => {
    expect(versions(await many(50, '-H "x-canary: true"'))).toEqual(['v2']);
  }, 30_000);

  test('kubectl applies the example and lists its objects', async () => {
    const applied = await lab.kubectl('apply', '-f', join(ROOT, 'examples/product-service/'));
    expect({ status: applied.status, stderr: applied.stderr }).toMatchObject({ status: 0 });
    const listed = await lab.kubectl('get', 'vs,dr,pods', '-A');
    expect(listed.status).toBe(0);
    expect(listed.stdout).toContain('virtualservice.networking.istio.io/product-service');
    expect(listed.stdout).toContain('destinationrule.networking.istio.io/product-service');
    expect(listed.stdout).toContain('pod/product-service-v2');
  });

  test('a weight change takes effect in a second without a failed request under load', async () => {
    const loop = 'curl -s -o /dev/null -w "%{http_code} %{exitcode}\\n" http://product-service/';
    const timed = `end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do ${loop}; done`;
    const load = inWeb('sh', '-c', timed);
    const weights = (stable: number, canary: number) => {
      const operations = [stable, canary].map((value, index) => ({
        op: 'replace',
        path: `/spec/http/1/route/${index}/weight`,
        value,
      }));
      const patch = JSON.stringify(operations);
      return lab.kubectl(
        'patch',
        'vs',
        'product-service',
        '-n',
        'shop',
        '--type=json',
        '-p',
        patch,
      );
    };
    expect((await weights(0, 100)).status).toBe(0);
    await Bun.sleep(1000);
    expect(versions(await many(30))).toEqual(['v2']);
    expect((await weights(90, 10)).status).toBe(0);
    const lines = (await load).stdout.split('\n').filter((line) => line !== '');
    expect(lines.length).toBeGreaterThan(20);
    expect(lines.filter((line) => line !== '200 0')).toEqual([]);
  }, 60_000);

  test('the wire between the nodes carries TLS on 15008 and not one byte of the payload', async () => {
    const capture = join(lab.home, 'wire.pcap');
    const command = lab.onNode('node1', [
      'tcpdump',
      '-i',
      'eth0',
      '-U',
      '--immediate-mode',
      '-w',
      capture,
      'tcp',
    ]);
    const sniffer = Bun.spawn(command, { stdout: 'ignore', stderr: 'ignore' });
    try {
      await eventually('the capture', async () => (await Bun.file(capture).exists()) || undefined);
      const flags = `-H "x-secret: ${PAYLOAD}"`;
      expect((await many(30, flags)).length).toBe(30);
    } finally {
      sniffer.kill('SIGINT');
      await sniffer.exited;
    }
    const bytes = Buffer.from(await Bun.file(capture).arrayBuffer());
    expect(bytes.length).toBeGreaterThan(10_000);
    expect(bytes.includes(PAYLOAD)).toBe(false);
    const packets = async (filter: string) =>
      (await run(['tcpdump', '-r', capture, '-n', filter])).stdout.split('\n').length - 1;
    expect(await packets('tcp port 15008')).toBeGreaterThan(10);
    expect(await packets('tcp port 8080 or tcp port 80')).toBe(0);
  }, 60_000);

  test('the peers’ certificates carry the SPIFFE identity of their service account', async () => {
    const address = await podIp('app=product-service,version=v2');
    const script = `openssl s_client -connect ${address}:15008 -tls1_3 -alpn h2 </dev/null 2>/dev/null | openssl x509 -noout -text`;
    const shown = await run(lab.onNode('node1', ['sh', '-c', script]));
    expect(shown.stdout).toMatch(/URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/\S+/);
  });

  test('STRICT refuses the pod outside the mesh and PERMISSIVE admits it', async () => {
    const address = await podIp('app=product-service,version=v1');
    const code = ['-s', '-m', '3', '-o', '/dev/null', '-w', '%{http_code}'];
    const outside = async () => {
      const words = ['exec', '-n', 'legacy', 'deploy/visitor', '--', 'curl', ...code];
      return (await lab.tulle(...words, `http://${address}:8080/`)).stdout;
    };
    const policy = async (mode: string) => {
      const metadata = { name: 'default', namespace: 'shop' };
      const spec = { mtls: { mode } };
      const object = {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata,
        spec,
      };
      expect((await lab.apply(JSON.stringify(object))).status).toBe(0);
    };
    expect(await outside()).toBe('200');
    await policy('STRICT');
    await eventually('a refusal', async () => ((await outside()) === '000' ? true : undefined));
    expect((await inWeb('curl', ...code, 'http://product-service/')).stdout).toBe('200');
    await policy('PERMISSIVE');
    await eventually('admission', async () => ((await outside()) === '200' ? true : undefined));
    await lab.kubectl('delete', 'peerauthentication', 'default', '-n', 'shop');
  }, 60_000);

  describe('tulle proxy', () => {
    const json = async <T>(...words: string[]): Promise<T> => {
      const { stdout, stderr, status } = await lab.tulle('proxy', ...words, '-o', 'json');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      return JSON.parse(stdout) as T;
    };
    const nodeOfWeb = async () => {
      const path = 'jsonpath={.items[0].spec.nodeName}';
      const { stdout } = await lab.kubectl(
        'get',
        'pods',
        '-n',
        'shop',
        '-l',
        'app=web',
        '-o',
        path,
      );
      return stdout;
    };

    test('list has every proxy, in sync, with what it carries', async () => {
      interface Row {
        kind: string;
        sync: string;
        version: string;
        pods: number;
        memoryBytes: number;
      }
      const rows = await json<Row[]>('list');
      expect(rows.map(({ kind }) => kind).sort()).toEqual(['node', 'node', 'waypoint']);
      for (const { sync, version, memoryBytes } of rows) {
        expect({ sync, version }).toEqual({ sync: 'synced', version: '0.1.0' });
        expect(memoryBytes).toBeGreaterThan(10_000_000);
      }
      expect(rows.reduce((sum, { pods = 0 }) => sum + pods, 0)).toBe(4);
    });

    test('connections shows the client’s live connection with both identities', async () => {
      await many(1);
      interface Answer {
        matched: number;
        connections: { service: string; mutualTls: boolean; source: { identity: string } }[];
      }
      const filter = ['--direction', 'outbound', '--namespace', 'shop'];
      const answer = await json<Answer>('connections', await nodeOfWeb(), ...filter);
      expect(answer.matched).toBeGreaterThan(0);
      expect(answer.connections[0]).toMatchObject({
        service: 'product-service.shop.svc.cluster.local',
        mutualTls: true,
        source: { identity: 'spiffe://cluster.local/ns/shop/sa/web' },
      });
    });

    test('log changes what a running proxy writes, and back', async () => {
      const node = await nodeOfWeb();
      const opened = async () =>
        (await lab.kubectl('logs', '-n', 'istio-system', `tulle-node-${node}`)).stdout
          .split('\n')
          .filter((line) => line.includes('\tdebug\taccess\tconnection opened\t')).length;
      expect(await opened()).toBe(0);
      await json('log', node, '--level', 'info,access=debug');
      await many(1);
      await eventually('a debug line', async () => (await opened()) || undefined);
      expect(await json<object>('log', node, '--reset')).toMatchObject({ level: 'info' });
    });

    test('certs and config of either kind of proxy, and never a key', async () => {
      for (const name of [await nodeOfWeb(), 'waypoint']) {
        const certs = await json<{ state: string }[]>('certs', name);
        expect(certs.map(({ state }) => state)).toEqual(certs.map(() => 'Available'));
        const { stdout, status } = await lab.tulle('proxy', 'config', name, '--raw');
        expect(status).toBe(0);
        expect(stdout).toContain('product-service');
        expect(stdout).not.toContain('PRIVATE KEY');
      }
    });

    test('a name of no proxy is an error with the next command; a waypoint has no log level', async () => {
      const missing = await lab.tulle('proxy', 'certs', 'nosuch');
      expect(missing).toMatchObject({ status: 3, stdout: '' });
      expect(missing.stderr).toContain('try: tulle proxy list');
      expect((await lab.tulle('proxy', 'log', 'waypoint')).status).toBe(2);
    });
  });
});
