/** `tulle why` as a command: the example of docs/why.md to the letter, JSON in and out, flags, exit statuses. */
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WhyAnswer } from '#cli/why/contract.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';
import { ROOT } from '#test/support/lab.ts';
import { type IstioRow, istioCase } from '#test/support/why-cases.ts';

const folder = mkdtempSync(join(tmpdir(), 'tulle-why-'));
afterAll(() => rmSync(folder, { recursive: true }));

function tulle(args: readonly string[], stdin = ''): { status: number; out: string; err: string } {
  const result = Bun.spawnSync([process.execPath, join(ROOT, 'src/cli/main.ts'), ...args], {
    cwd: folder,
    stdin: Buffer.from(stdin),
    env: { ...process.env, TULLE_CONSOLE: 'http://127.0.0.1:9' },
  });
  const { exitCode, stdout, stderr } = result;
  return { status: exitCode, out: stdout.toString(), err: stderr.toString() };
}

const page = readFileSync(join(ROOT, 'docs/why.md'), 'utf8');
const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
const [, console_] = /```console\n([\s\S]*?)```/.exec(page) ?? [];
writeFileSync(join(folder, 'shop.yaml'), yaml);

describe('tulle why', () => {
  test('prints what docs/why.md shows', () => {
    const [command, ...lines] = console_.split('\n');
    const { status, out } = tulle(command.replace('$ tulle ', '').split(' '));
    expect(out).toBe(lines.join('\n'));
    expect(status).toBe(0);
  });

  test('answers a list of requests with a list, and ends with 1 when one answer is no', () => {
    const ask = (path: string) => ({
      source: { namespace: 'shop', serviceAccount: 'web' },
      destination: { host: 'products', port: 80 },
      path,
    });
    const requests = JSON.stringify([ask('/old'), ask('/list')]);
    const both = tulle(['why', '-f', 'shop.yaml', '--request', '-', '-o', 'json'], requests);
    const answers = JSON.parse(both.out) as WhyAnswer[];
    expect(answers.map(({ verdict }) => verdict)).toEqual(['redirect', 'forward']);
    expect(answers[0].redirect).toEqual({ status: 301, location: 'http://products/new' });
    expect(both.status).toBe(0);
    const port = JSON.stringify({ ...ask('/'), destination: { host: 'products', port: 81 } });
    const one = tulle(['why', '-f', 'shop.yaml', '--request', '-', '-o', 'json'], port);
    expect(JSON.parse(one.out)).toMatchObject({ verdict: 'reset' });
    expect(one.status).toBe(1);
  });

  test('reads manifests from folders and standard input, and a client from its pod', () => {
    const args = ['why', '-f', '-', '--from', 'shop/products-1', '--to', 'products.shop:80'];
    const flags = ['--method', 'POST', '--path', '/x', '--header', 'x-a: b', '-o', 'json'];
    const { status, out } = tulle([...args, ...flags], yaml);
    expect(JSON.parse(out)).toMatchObject({ verdict: 'forward', route: { name: 'products' } });
    expect(out).toContain('shop/default at 10.0.0.7');
    expect(status).toBe(0);
    expect(tulle(['why', '-f', folder, '--from', 'shop/web', '--to', 'products']).status).toBe(0);
  });

  const bad: [string, string[], number, string][] = [
    ['nothing is asked', ['-f', 'shop.yaml'], 2, '--to host:port'],
    ['the request is no JSON', ['-f', 'shop.yaml', '--request', 'shop.yaml'], 2, 'no JSON'],
    ['a header has no value', ['-f', 'shop.yaml', '--to', 'x', '--header', 'x'], 2, 'name:value'],
    ['a mode is unknown', ['--to', 'x', '--mode', 'y'], 2, 'Allowed choices'],
    ['a file is missing', ['-f', 'nothing.yaml', '--to', 'x'], 3, 'nothing.yaml'],
    ['the mesh cannot be asked', ['--to', 'x'], 3, 'did not answer /api/v1/why'],
  ];
  test.each(bad)('says so when %s', (_title, args, want, text) => {
    const { status, err } = tulle(['why', ...args]);
    expect(err).toContain(text);
    expect(status).toBe(want);
  });

  const rows = foreignCases<IstioRow>('routing-istio.json')?.slice(0, 3) ?? [];
  test.each(rows.map((row) => [row.id, row] as const))('answers the case %s', (_id, row) => {
    const { manifests, requests, check } = istioCase(row, 'sidecar');
    writeFileSync(join(folder, 'case.yaml'), manifests.join('\n---\n'));
    const asked = ['why', '-f', 'case.yaml', '--request', '-', '-o', 'json'];
    const { out } = tulle(asked, JSON.stringify(requests[0]));
    expect(check(JSON.parse(out))).toEqual([]);
  });
});
