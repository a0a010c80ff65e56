import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { loadCrds } from '#crds/crd-cache.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { findHelm } from '#test/support/helm.ts';
import { manifests, withoutEmpty } from '../manifests/manifests.ts';
import { parametersOf } from '../manifests/parameters.ts';
import { defaultValues, mergeTrees, type Tree, valuesOf } from '../values/values.ts';
import { chartFiles } from './chart.ts';
import { Placeholder, templateOf } from './placeholder.ts';

const CHART = join(import.meta.dir, '../../../chart');
const files = chartFiles(loadCrds());

describe('chart/', () => {
  test('is what tools/chart.ts writes: bun tools/chart.ts', () => {
    const there = readdirSync(CHART, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(CHART, name)).isFile())
      .sort();
    expect(there).toEqual([...files.keys()].sort());
    const stale = there.filter(
      (name) => readFileSync(join(CHART, name), 'utf8') !== files.get(name),
    );
    expect(stale).toEqual([]);
  });

  test('fits the Secret of a megabyte that Helm keeps of a release', () => {
    const all = Bun.gzipSync([...files.values()].join('\n'));
    expect(Buffer.from(all).toString('base64').length).toBeLessThan(500_000);
  });
});

describe('templateOf', () => {
  const text = new Placeholder('.Values.name', 'string');

  test('a placeholder alone has its type, and in a string it is a piece of that', () => {
    const template = templateOf({
      count: new Placeholder('.Values.count', 'integer'),
      name: text,
      composed: `a:${text}-b`,
      plain: 'x: y',
    });
    expect(template).toBe(
      'count: {{ .Values.count }}\nname: {{ .Values.name | quote }}\ncomposed: \'a:{{ .Values.name }}-b\'\nplain: "x: y"\n',
    );
  });

  test('an object or a block goes below its name, as deep as it stands', () => {
    const template = templateOf({
      a: {
        b: new Placeholder('.Values.b', 'object'),
        c: new Placeholder('include "x" .', 'block'),
      },
      list: [{ d: new Placeholder('.Values.d', 'array') }],
    });
    expect(template).toBe(
      'a:\n  b: {{- toYaml (.Values.b) | nindent 4 }}\n  c: |-\n{{ include "x" . | indent 4 }}\nlist:\n  - d: {{- toYaml (.Values.d) | nindent 4 }}\n',
    );
  });
});

const helm = findHelm();
if (helm === undefined && process.env.CI) throw new Error('Helm is missing, and Go to build it');
if (helm === undefined) console.warn('SKIPPED: no Helm, and no Go to build it');

const HOOK_KINDS = [
  'ClusterRole',
  'ClusterRoleBinding',
  'Job',
  'Role',
  'RoleBinding',
  'ServiceAccount',
];
const isHook = ({ metadata }: KubeObject) => metadata.annotations?.['helm.sh/hook'] !== undefined;
const KUBE_VERSION = ['--kube-version', '1.34.0'];

function rendered(values: Tree, namespace: string) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-helm-'));
  try {
    const path = join(folder, 'values.yaml');
    writeFileSync(path, stringify(values));
    return helm?.(['template', 'tulle', CHART, '-n', namespace, '-f', path, ...KUBE_VERSION]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function byName(objects: readonly KubeObject[]): Record<string, KubeObject> {
  return Object.fromEntries(
    objects.map((object) => [`${object.kind} ${object.metadata.name}`, object]),
  );
}

describe.skipIf(helm === undefined)('Helm', () => {
  const ROWS: [title: string, values: Tree, namespace: string][] = [
    ['nothing', {}, 'istio-system'],
    ['another namespace and revision', { revision: 'canary' }, 'mesh'],
    ['no node proxies', { node: { enabled: false } }, 'istio-system'],
    [
      'every kind of value',
      {
        image: {
          repository: 'registry.example:5000/mesh/tulle',
          tag: '1.10',
          pullPolicy: 'Always',
          pullSecrets: [{ name: 'one' }, { name: 'two' }],
        },
        trustDomain: 'example.org',
        clusterId: 'c-1',
        meshConfig: { pathNormalization: { normalization: 'MERGE_SLASHES' }, trustDomain: 'x' },
        control: {
          replicas: 3,
          resources: { requests: { cpu: '2' }, limits: { memory: '1Gi' } },
          nodeSelector: { zone: 'a' },
          tolerations: [{ key: 'k', operator: 'Equal', value: 'v', effect: 'NoSchedule' }],
          affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: {} } },
          logLevel: 'debug',
          unenforcedPolicy: 'ignore',
          unreadyWaypoint: 'bypass',
          consoleReadOnly: true,
        },
        node: {
          maxSurge: '10%',
          terminationGracePeriodSeconds: 30,
          logLevel: 'info,access=debug',
          logFormat: 'json',
          dnsCapture: false,
          tolerations: [],
        },
        cni: { binDir: '/a/b', confDir: '/c d/e' },
        resourceQuota: true,
        monitoring: { podMonitor: true, dashboards: true },
      },
      'istio-system',
    ],
  ];
  test.each(ROWS)(
    'makes of the chart what tulle install applies: %s',
    (_title, values, namespace) => {
      const answer = rendered(values, namespace);
      expect(answer?.stderr).toBe('');
      const made = parseAllDocuments(answer?.stdout ?? '')
        .map((document) => document.toJS() as KubeObject | null)
        .filter((object) => object !== null);
      const wanted = manifests(valuesOf([values, { namespace }]), (chosen) => ({
        ...parametersOf(chosen),
        managedBy: 'Helm',
      })).map(({ object }) => object);
      const hooks = made.filter(isHook);
      expect(hooks.map(({ kind }) => kind).sort()).toEqual(HOOK_KINDS);
      const plain = JSON.parse(JSON.stringify(wanted)) as KubeObject[];
      expect(byName(made.filter((object) => !isHook(object)).map(withoutEmpty))).toEqual(
        byName(plain.filter(({ kind }) => kind !== 'Namespace')),
      );
    },
  );

  test('takes the defaults of values.yaml for those of the program', () => {
    const { namespace: _, ...defaults } = defaultValues();
    const [document] = parseAllDocuments(files.get('values.yaml') ?? '');
    expect(document.toJS()).toEqual(defaults as unknown as Tree);
  });

  const WRONG: [values: Tree, field: string][] = [
    [{ control: { replica: 3 } }, 'replica'],
    [{ control: { replicas: 'three' } }, 'replicas'],
    [{ image: { pullPolicy: 'Sometimes' } }, 'pullPolicy'],
    [mergeTrees([{ node: { maxSurge: 'all' } }]), 'maxSurge'],
  ];
  test.each(WRONG)('refuses %j', (values, field) => {
    const answer = rendered(values, 'istio-system');
    expect(answer?.code).not.toBe(0);
    expect(answer?.stderr).toContain(field);
  });

  test('lints it', () => {
    const answer = helm?.(['lint', CHART, ...KUBE_VERSION]);
    expect(answer?.stdout).toContain('0 chart(s) failed');
  });
});
