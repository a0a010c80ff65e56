import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import type { StatusAnswer } from '#control/observe/api.ts';
import { completionScript } from './commands/completion.ts';
import { resolveKinds, type ServedKind } from './commands/kubectl/discovery.ts';
import { exitStatusOf } from './commands/kubectl/exec.ts';
import { typeName } from './commands/kubectl/get.ts';
import { selectorText } from './commands/kubectl/pods.ts';
import { formatStatus, isHealthy } from './commands/mesh/status.ts';
import { AnswerIsNo, ExitWith, reportOf, UsageError } from './output/report.ts';
import { formatAge, formatTable } from './output/table.ts';
import { buildProgram } from './program.ts';

const plain = (_colour: string, text: string) => text;

describe('reportOf', () => {
  const meshError = new MeshError('X', 'it broke', {
    side: 'self',
    hint: 'mend it',
    cause: new Error('worn out'),
  });
  test.each([
    ['an answer of no', new AnswerIsNo('not ready'), { text: 'not ready\n', status: 1 }],
    ['wrong usage', new UsageError('which pod?'), { text: 'error: which pod?\n', status: 2 }],
    ['a remote program that failed', new ExitWith(7), { text: '', status: 7 }],
    [
      'an operating failure',
      meshError,
      { text: 'error: it broke\n  cause: worn out\n  try: mend it\n', status: 3 },
    ],
  ])('%s', (_title, error, want) => {
    expect(reportOf(error)).toEqual(want);
  });

  test('a cause that the message holds already, and advice to programmers of Bun, are left out', () => {
    const cause =
      'socket closed. For more information, pass `verbose: true` in the second argument to fetch()';
    const broken = new MeshError('X', 'no answer', { side: 'self', hint: '', cause });
    expect(reportOf(broken).text).toBe('error: no answer\n  cause: socket closed.\n');
    const twice = new MeshError('X', 'cannot read /x', {
      side: 'self',
      hint: '',
      cause: 'read /x',
    });
    expect(reportOf(twice).text).toBe('error: cannot read /x\n');
  });

  test('our own bug shows where it is', () => {
    const report = reportOf(new TypeError('oops'));
    expect(report.status).toBe(3);
    expect(report.text).toContain('cli.test.ts');
  });
});

describe('output', () => {
  test('formatTable aligns columns and counts no colour codes', () => {
    const text = formatTable(
      ['A', 'B'],
      [
        ['\u001b[31mlong\u001b[0m', 'x'],
        ['s', 'y'],
      ],
    );
    expect(text).toBe('A      B\n\u001b[31mlong\u001b[0m   x\ns      y\n');
  });

  test('a table that is wider than the terminal is a block for each row', () => {
    const rows = [
      ['\u001b[31ma\u001b[0m', 'x'.repeat(20), '-'],
      ['b', 'y', 'z'],
    ];
    const header = ['NAME', 'VALUE', 'MORE'];
    expect(formatTable(header, rows, { width: 34 })).toStartWith('NAME   VALUE ');
    expect(formatTable(header, rows, { width: 33 })).toBe(
      `NAME    \u001b[31ma\u001b[0m\nVALUE   ${'x'.repeat(20)}\n\nNAME    b\nVALUE   y\nMORE    z\n`,
    );
  });

  test.each([
    [5, '5s'],
    [119, '119s'],
    [125, '2m5s'],
    [3600, '60m'],
    [4 * 3600 + 300, '4h5m'],
    [30 * 3600, '30h'],
    [50 * 3600, '2d2h'],
  ])('formatAge(%d) is %s', (seconds, want) => {
    expect(formatAge(seconds)).toBe(want);
  });
});

function kind(
  resource: string,
  group: string,
  names: string[],
  categories: string[] = [],
): ServedKind {
  return {
    group,
    version: 'v1',
    resource,
    kind: resource,
    namespaced: true,
    names: [resource, ...names],
    categories,
  };
}
const SERVED = [
  kind('pods', '', ['po', 'pod'], ['all']),
  kind('services', '', ['svc'], ['all']),
  kind('gateways', 'networking.istio.io', ['gw']),
  kind('gateways', 'gateway.networking.k8s.io', ['gtw']),
];

describe('resolveKinds', () => {
  test.each([
    ['po', ['pods']],
    ['svc,po', ['services', 'pods']],
    ['all', ['pods', 'services']],
  ])('%s', (text, want) => {
    expect(resolveKinds(SERVED, text).map((one) => one.resource)).toEqual(want);
  });

  test('a group picks between kinds of one name', () => {
    expect(resolveKinds(SERVED, 'gateways.gateway.networking.k8s.io')[0].group).toBe(
      'gateway.networking.k8s.io',
    );
  });

  test('an unknown kind is refused by name', () => {
    expect(() => resolveKinds(SERVED, 'gizmos')).toThrow('gizmos');
  });
});

test('typeName is as kubectl writes kinds', () => {
  expect(typeName({ kind: 'Pod', group: '' })).toBe('pod');
  expect(typeName({ kind: 'VirtualService', group: 'networking.istio.io' })).toBe(
    'virtualservice.networking.istio.io',
  );
});

describe('exec', () => {
  test('exitStatusOf reads the cause that Kubernetes sends', () => {
    expect(exitStatusOf({ status: 'Success' })).toBe(0);
    const causes = [{ reason: 'ExitCode', message: '7' }];
    expect(exitStatusOf({ status: 'Failure', details: { causes } })).toBe(7);
    expect(() => exitStatusOf({ status: 'Failure', message: 'no such container' })).toThrow(
      'no such container',
    );
  });

  test('selectorText writes labels and expressions', () => {
    const expressions = [
      { key: 'tier', operator: 'In' as const, values: ['a', 'b'] },
      { key: 'old', operator: 'DoesNotExist' as const },
    ];
    expect(selectorText({ matchLabels: { app: 'web' }, matchExpressions: expressions })).toBe(
      'app=web,tier in (a,b),!old',
    );
  });
});

test('formatStatus names a refused configuration, and it makes the mesh unhealthy', () => {
  const proxy = {
    kind: 'node',
    namespace: 'istio-system',
    name: 'n',
    node: 'node1',
    ip: '',
    connected: true,
    certificates: [],
    ejections: [],
  } as const;
  const types = [{ typeUrl: 't', resources: 3, nack: 'bad port', state: 'nacked' }];
  const answer: StatusAnswer = {
    generatedAt: '',
    control: { ready: true, leader: true, pod: 'istiod-1', version: '1', startedAt: 'now' },
    proxies: [{ ...proxy, sync: 'refused', types }],
    waypoints: [],
    findings: [],
  };
  expect(isHealthy(answer)).toBe(false);
  expect(formatStatus(answer, plain)).toContain('bad port');
});

/** As from a shell. */
async function run(argv: readonly string[]) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'main.ts'), ...argv], {
    stdout: 'pipe',
    stderr: 'pipe',
    stdin: 'ignore',
  });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, status };
}

describe('command line', () => {
  test('completion lists commands and flags of the tree', () => {
    const script = completionScript('bash', buildProgram());
    expect(script).toContain('"lab") words="up down status');
    expect(script).toContain('--console-port');
    const fish = completionScript('fish', buildProgram());
    expect(fish).toContain(`complete -c tulle -n "__tulle_is 'proxy'" -a "list`);
    expect(() => completionScript('tcsh', buildProgram())).toThrow('bash, zsh, fish');
  });

  test.each([
    ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'\n\(tulle --help/],
    [
      'one to be explained',
      ['help', 'proxy', 'frob'],
      /there is no tulle proxy frob: tulle proxy --help/,
    ],
    [
      'a number that is none',
      ['lab', 'up', '--nodes', 'x'],
      /--nodes <count>' argument 'x'.*1 to 64 nodes\.\n\(tulle lab up --help/,
    ],
    ['a format that is none', ['get', 'pods', '-o', 'jsno'], /jsno.*json, yaml, wide, name/],
    [
      'a client that is none',
      ['why', '--to', 'a', '--from', 'a/b/c'],
      /--from a\/b\/c: write it as/,
    ],
    ['a gateway that is none', ['why', '--gateway', 'a'], /--gateway a: write it as/],
  ])('%s is wrong usage, says what and what to type', async (_title, argv, said) => {
    const { status, stderr } = await run(argv);
    expect(stderr).toMatch(said);
    expect(status).toBe(2);
  });

  test('the cluster is named before or after the command, and nowhere where none is talked to', async () => {
    for (const argv of [
      ['--kubeconfig', '/nosuch', 'get', 'pods'],
      ['get', 'pods', '--kubeconfig', '/nosuch'],
      ['proxy', 'certs', '--kubeconfig', '/nosuch', 'node1'],
      ['exec', '--kubeconfig', '/nosuch', 'web', '--', 'ls', '--kubeconfig', 'x'],
    ]) {
      const { status, stderr } = await run(argv);
      expect(stderr).toContain('cannot read /nosuch');
      expect(status).toBe(3);
    }
    expect((await run(['lab', 'status', '--kubeconfig', '/nosuch'])).status).toBe(2);
  });

  test.each([[['--version']], [['-V']], [['version']]])('%j prints the version', async (argv) => {
    const { status, stdout } = await run(argv);
    expect(stdout).toStartWith('tulle ');
    expect(status).toBe(0);
  });
});
