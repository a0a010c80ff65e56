/** The commands of docs/observe.md against a demo lab, and its console's access: who logs in sees what their account may list. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplyAnswer } from '#console/api/config.ts';
import type { WorkloadsAnswer } from '#console/api/lists.ts';
import type { ErrorAnswer, SessionAnswer } from '#console/api/mesh.ts';
import type { ChangeAnswer, HistoryAnswer } from '#console/api/series.ts';
import type { RequestRow } from '#console/api/traffic.ts';
import { eventually, missingFor, ROOT, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'nsenter', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;
const TEST_MS = 60_000;

/** Each command of the page's console block, and how its output begins. */
function commands(): [command: string, start: string][] {
  const page = readFileSync(join(ROOT, 'docs/observe.md'), 'utf8');
  const block = /```console\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  return block
    .split(/^\$ tulle /m)
    .slice(1)
    .map((part) => {
      const [command, start = ''] = part.split('\n');
      return [command, start];
    });
}

const COMMANDS = commands();
const POLICY = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: console
  namespace: shop
spec:
  mtls:
    mode: STRICT
`;

describe.skipIf(skip)('observing a lab', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
    await eventually('traffic in the graph', async () => {
      const { stdout } = await lab.tulle('graph');
      return stdout.includes('product-service-v2') || undefined;
    });
  }, TEST_MS);

  afterAll(async () => {
    await lab?.down();
  });

  const api = (path: string, init?: RequestInit) => fetch(`${lab.consoleUrl}/api/v1/${path}`, init);
  const ask = async <T>(path: string, init?: RequestInit) =>
    (await (await api(path, init)).json()) as T;

  test('the page has commands', () => {
    expect(COMMANDS.length).toBeGreaterThan(5);
  });

  test.each(COMMANDS)(
    'tulle %s',
    async (command, start) => {
      const { stdout, stderr, status } = await lab.tulle(...command.split(' '));
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).not.toBe('');
      expect(stdout).toStartWith(start);
    },
    TEST_MS,
  );

  test(
    'tap shows requests of the load with both ends',
    async () => {
      const service = 'product-service.shop.svc.cluster.local';
      const flags = ['--service', service, '--method', 'GET', '--count', '3', '-o', 'json'];
      const { stdout, stderr } = await lab.tulle('tap', ...flags);
      expect(stderr).toBe('');
      const rows = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as RequestRow);
      expect(rows.length).toBe(3);
      for (const row of rows)
        expect(row).toMatchObject({
          source: 'workload/shop/web',
          destination: expect.stringMatching(/^workload\/shop\/product-service-v[12]$/),
          service,
          status: 200,
          isMutualTls: true,
        });
    },
    TEST_MS,
  );

  test('the page says what it may load, and the API nothing of itself to other sites', async () => {
    const page = await fetch(`${lab.consoleUrl}/graph`);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    const foreign: Record<string, string>[] = [
      { origin: 'http://evil.example' },
      { host: 'evil.example' },
    ];
    for (const headers of foreign) {
      const answer = await api('graph', { headers });
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ code: 'CONSOLE_FOREIGN_ORIGIN' });
    }
  });

  test(
    'a pod is asked for a token, and its account sees nothing that it may not list',
    async () => {
      const only = (what: string) => `jsonpath={.items[0].${what}}`;
      const { stdout: address } = await lab.kubectl(
        ...['get', 'pod', '-n', 'istio-system', '-l', 'app=istiod', '-o', only('status.podIP')],
      );
      const visit = async (host: string, ...more: string[]) => {
        const curl = ['curl', '-s', '-m', '10', ...more, `http://${host}:20001/api/v1/workloads`];
        const { stdout } = await lab.kubectl(
          ...['exec', '-n', 'legacy', 'deploy/visitor', '--', ...curl],
        );
        return JSON.parse(stdout) as Partial<WorkloadsAnswer & ErrorAnswer>;
      };
      const tokenOf = async (account: string, namespace: string) => {
        const { stdout } = await lab.kubectl('create', 'token', account, '-n', namespace);
        return `authorization: Bearer ${stdout.trim()}`;
      };
      // By its pod and by its service: the lab's own relay is known by an address that no pod can have.
      for (const host of [address, 'istiod.istio-system.svc'])
        expect(await visit(host)).toMatchObject({ code: 'CONSOLE_NOT_LOGGED_IN' });
      expect(await visit(address, '-H', await tokenOf('visitor', 'legacy'))).toMatchObject({
        workloads: [],
      });
      const all = await visit(address, '-H', await tokenOf('istiod', 'istio-system'));
      expect(all.workloads?.map(({ id }) => id)).toContain('workload/shop/web');
      expect(await visit(address, '-H', 'authorization: Bearer made-up')).toMatchObject({
        code: 'CONSOLE_TOKEN_REFUSED',
      });
    },
    TEST_MS,
  );

  test(
    'a change is made, judged, and told as history',
    async () => {
      const { csrfToken, isReadOnly } = await ask<SessionAnswer>('session');
      expect(isReadOnly).toBe(false);
      const put = (body: { yaml: string; dryRun?: boolean }, csrf = csrfToken) =>
        ask<ApplyAnswer & ErrorAnswer>('config/PeerAuthentication/shop/console', {
          method: 'PUT',
          headers: { 'content-type': 'application/json', 'x-tulle-csrf': csrf },
          body: JSON.stringify(body),
        });
      const stored = async () => {
        const words = ['get', 'peerauthentication', '-n', 'shop', 'console', '--ignore-not-found'];
        return (await lab.kubectl(...words, '-o', 'jsonpath={.spec.mtls.mode}')).stdout;
      };
      expect(await put({ yaml: POLICY }, 'guess')).toMatchObject({ code: 'CONSOLE_NO_CSRF' });
      expect(await put({ yaml: POLICY.replace('STRICT', 'SOMETIMES') })).toMatchObject({
        isApplied: false,
        findings: [{ path: 'spec.mtls.mode', line: 8 }],
      });
      expect(await put({ yaml: POLICY, dryRun: true })).toMatchObject({
        isValid: true,
        isApplied: false,
      });
      expect(await stored()).toBe('');
      expect(await put({ yaml: POLICY })).toMatchObject({ isValid: true, isApplied: true });
      expect(await stored()).toBe('STRICT');
      expect(await put({ yaml: POLICY.replace('STRICT', 'PERMISSIVE') })).toMatchObject({
        isApplied: true,
      });
      await lab.kubectl('delete', 'peerauthentication', '-n', 'shop', 'console');
      const changes = await eventually('the three changes in the history', async () => {
        const address = 'history?resource=PeerAuthentication%20shop/console';
        const { changes: told } = await ask<HistoryAnswer>(address);
        return told.length === 3 ? told : undefined;
      });
      expect(changes.map(({ change, summary }) => `${change}: ${summary}`)).toEqual([
        'removed: removed',
        'changed: spec.mtls.mode',
        'added: added',
      ]);
      const { before, after } = await ask<ChangeAnswer>(`history/${changes[1].version}`);
      expect([before, after].map((text) => /mode: (\w+)/.exec(text)?.[1])).toEqual([
        'STRICT',
        'PERMISSIVE',
      ]);
    },
    TEST_MS,
  );
});
