import { describe, expect, test } from 'bun:test';
import type { TelemetrySettings } from '#model/telemetry/settings.ts';
import { DEFAULT_TELEMETRY } from '#model/telemetry/settings.ts';
import { Findings } from '../finding.ts';
import { compileTelemetry } from './compile.ts';
import type { CompiledTelemetry, Mode } from './compiled.ts';
import type { MeshTelemetrySpec, TelemetrySpec } from './kinds.ts';
import { mergeTelemetry } from './merge.ts';
import { compileMeshTelemetry } from './mesh.ts';
import { referenceFindings } from './references.ts';
import { applicableTelemetries, type TelemetryPlace } from './select.ts';

function telemetry(name: string, spec: TelemetrySpec, age = 0): CompiledTelemetry {
  const [namespace, own] = name.split('/');
  const creationTimestamp = new Date(1e12 + age * 1000).toISOString();
  const metadata = { namespace, name: own, creationTimestamp };
  const { value, findings } = compileTelemetry({ metadata, spec });
  if (value === undefined) throw new Error(JSON.stringify(findings));
  return value;
}

const COLLECTOR = { service: 'otel.observability.svc.cluster.local', port: 4317 };
const MESH: MeshTelemetrySpec = {
  defaultProviders: { accessLogging: ['envoy'] },
  extensionProviders: [
    { name: 'otel', opentelemetry: COLLECTOR },
    { name: 'als', envoyOtelAls: COLLECTOR },
    {
      name: 'json',
      envoyFileAccessLog: { path: '/var/log/a', logFormat: { labels: { a: '%PROTOCOL%' } } },
    },
    { name: 'zip', zipkin: { service: 'z', port: 9411 } },
  ],
};

function merged(
  levels: readonly TelemetrySpec[],
  { mode = 'SERVER', mesh = MESH }: { mode?: Mode; mesh?: MeshTelemetrySpec } = {},
): TelemetrySettings {
  const compiled = compileMeshTelemetry(
    mesh,
    new Findings('ConfigMap', { namespace: 'i', name: 'istio' }),
  );
  return mergeTelemetry(
    compiled,
    levels.map((spec, at) => telemetry(`n/t${at}`, spec)),
    { mode },
  );
}

describe('mergeTelemetry', () => {
  test('without any word of the mesh it is what proxies do by themselves', () => {
    expect(merged([], { mesh: {} })).toEqual(DEFAULT_TELEMETRY);
  });

  const off = { overrides: [{ match: { metric: 'ALL_METRICS' }, disabled: true }] };
  const on = { overrides: [{ match: { metric: 'REQUEST_COUNT' }, disabled: false }] };
  test.each<[string, TelemetrySpec[], boolean]>([
    ['nothing said', [], false],
    ['all off', [{ metrics: [off] }], true],
    ['all off, and a narrower level turns one on', [{ metrics: [off] }, { metrics: [on] }], false],
    [
      'all off for the other direction',
      [{ metrics: [{ overrides: [{ ...off.overrides[0], match: { mode: 'CLIENT' } }] }] }],
      false,
    ],
    ['another provider alone', [{ metrics: [{ providers: [{ name: 'otel' }] }] }], true],
    [
      'back to prometheus below',
      [
        { metrics: [{ providers: [{ name: 'otel' }] }] },
        { metrics: [{ providers: [{ name: 'Prometheus' }] }] },
      ],
      false,
    ],
  ])('metrics are off: %s', (_title, levels, want) => {
    expect(merged(levels).metrics.disabled).toBe(want);
  });

  test('labels are merged one by one, the narrower level wins', () => {
    const one = (tagOverrides: object, metric?: string) =>
      ({
        metrics: [
          { overrides: [{ match: metric === undefined ? undefined : { metric }, tagOverrides }] },
        ],
      }) as TelemetrySpec;
    const { overrides } = merged([
      one({ host: { value: 'request.host' }, source_app: { operation: 'REMOVE' } }),
      one({ source_app: { value: "'mine'" } }, 'REQUEST_COUNT'),
    ]).metrics;
    expect(
      overrides.REQUEST_COUNT?.tags.map(({ name, expression }) => [name, expression?.text]),
    ).toEqual([
      ['host', 'request.host'],
      ['source_app', "'mine'"],
    ]);
    expect(
      overrides.TCP_SENT_BYTES?.tags.map(({ name, expression }) => [name, expression?.text]),
    ).toEqual([
      ['host', 'request.host'],
      ['source_app', undefined],
    ]);
  });

  const providers = (...names: string[]) => names.map((name) => ({ name }));
  const filter = { expression: 'response.code >= 500' };
  test.each<[string, TelemetrySpec[], string[]]>([
    ['the mesh’s default', [], ['envoy']],
    ['off', [{ accessLogging: [{ disabled: true }] }], []],
    [
      'off above, on below',
      [{ accessLogging: [{ disabled: true }] }, { accessLogging: [{ disabled: false }] }],
      ['envoy'],
    ],
    [
      'another provider replaces',
      [{ accessLogging: [{ providers: providers('json') }] }],
      ['json'],
    ],
    [
      'two of one level add up',
      [{ accessLogging: [{ providers: providers('json') }, { providers: providers('als') }] }],
      ['als', 'json'],
    ],
    [
      'one of a level is off',
      [
        { accessLogging: [{ providers: providers('json', 'als') }] },
        {
          accessLogging: [
            { providers: providers('json', 'als') },
            { providers: providers('json'), disabled: true },
          ],
        },
      ],
      ['als'],
    ],
    [
      'a narrower level replaces',
      [
        { accessLogging: [{ providers: providers('json') }] },
        { accessLogging: [{ providers: providers('als') }] },
      ],
      ['als'],
    ],
    ['filtered', [{ accessLogging: [{ filter }] }], ['envoy if response.code >= 500']],
    [
      'only the other direction',
      [{ accessLogging: [{ match: { mode: 'CLIENT' }, disabled: true }] }],
      ['envoy'],
    ],
    ['a provider that has no log', [{ accessLogging: [{ providers: providers('otel') }] }], []],
  ])('access log: %s', (_title, levels, want) => {
    const outputs = merged(levels).accessLog.outputs.map(({ provider, filter: own }) =>
      own === undefined ? provider : `${provider} if ${own.text}`,
    );
    expect(outputs).toEqual(want);
  });

  test.each<[string, MeshTelemetrySpec, object]>([
    [
      'a file',
      { accessLogFile: '/dev/stderr' },
      { sink: { kind: 'file', path: '/dev/stderr' }, format: { kind: 'standard' } },
    ],
    ['JSON', { accessLogEncoding: 'JSON' }, { format: { kind: 'standard', encoding: 'json' } }],
    [
      'a text of its own',
      { accessLogFormat: '%PROTOCOL%' },
      { format: { kind: 'text', template: '%PROTOCOL%\n' } },
    ],
    [
      'JSON of its own',
      { accessLogEncoding: 'JSON', accessLogFormat: '{"a": "%PROTOCOL%"}' },
      { format: { kind: 'json', fields: { a: '%PROTOCOL%' } } },
    ],
  ])('MeshConfig’s own access log: %s', (_title, mesh, want) => {
    const [output] = merged([], { mesh }).accessLog.outputs;
    expect(output).toMatchObject(want);
    expect(merged([], { mesh: { ...mesh, accessLogFile: '' } }).accessLog.outputs).toEqual([]);
  });

  test('tracing takes each member from the narrowest level that has it, by direction', () => {
    const levels: TelemetrySpec[] = [
      {
        tracing: [
          {
            providers: providers('otel'),
            randomSamplingPercentage: 10,
            customTags: { a: { literal: { value: '1' } }, b: { literal: { value: '2' } } },
          },
        ],
      },
      {
        tracing: [
          {
            match: { mode: 'SERVER' },
            randomSamplingPercentage: 50,
            customTags: { c: { header: { name: 'X-C', defaultValue: 'd' } } },
            enableIstioTags: false,
          },
        ],
      },
    ];
    expect(merged(levels).tracing).toMatchObject({
      provider: {
        name: 'otel',
        protocol: 'otlp-grpc',
        collector: { host: COLLECTOR.service, port: 4317 },
        path: '/v1/traces',
      },
      disabled: false,
      samplingPercent: 50,
      customTags: [{ name: 'c', kind: 'header', header: 'x-c', defaultValue: 'd' }],
      istioTags: false,
    });
    expect(merged(levels, { mode: 'CLIENT' }).tracing).toMatchObject({
      samplingPercent: 10,
      istioTags: true,
      customTags: [{ name: 'a' }, { name: 'b' }],
    });
  });

  test.each<[string, MeshTelemetrySpec, TelemetrySpec[], object]>([
    [
      'the proxies’ sampling',
      { defaultConfig: { tracing: { sampling: 20 } } },
      [],
      { samplingPercent: 20, disabled: false },
    ],
    ['turned off', { enableTracing: false }, [], { disabled: true }],
    [
      'turned off, and a Telemetry asks for it',
      { enableTracing: false },
      [{ tracing: [{ randomSamplingPercentage: 5 }] }],
      { disabled: false, samplingPercent: 5 },
    ],
    ['reports nothing', {}, [{ tracing: [{ disableSpanReporting: true }] }], { disabled: true }],
    [
      'custom tags of the proxies',
      { defaultConfig: { tracing: { customTags: { z: { literal: { value: 'q' } } } } } },
      [],
      { customTags: [{ name: 'z', kind: 'literal', value: 'q' }] },
    ],
    [
      'length of paths',
      { defaultConfig: { tracing: { maxPathTagLength: 64 } } },
      [],
      { pathTagCharsMax: 64 },
    ],
  ])('MeshConfig’s own tracing: %s', (_title, mesh, levels, want) => {
    expect(merged(levels, { mesh }).tracing).toMatchObject(want);
  });
});

describe('applicableTelemetries', () => {
  const all = [
    telemetry('istio-system/root', {}),
    telemetry('istio-system/class', {
      targetRefs: [
        { group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name: 'istio-waypoint' },
      ],
    }),
    telemetry('shop/younger', {}, 2),
    telemetry('shop/older', {}, 1),
    telemetry('shop/web', { selector: { matchLabels: { app: 'web' } } }),
    telemetry('shop/gateway', {
      targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' }],
    }),
    telemetry('shop/service', { targetRefs: [{ kind: 'Service', name: 's' }] }),
    telemetry('other/wide', {}),
    telemetry('other/service', { targetRefs: [{ kind: 'Service', name: 's' }] }),
  ];
  const inForce = (place: TelemetryPlace) =>
    applicableTelemetries(place, {
      rootNamespace: 'istio-system',
      ofNamespace: (namespace) => all.filter(({ identity }) => identity.namespace === namespace),
    }).map(({ identity }) => identity.name);
  const waypoint = {
    namespace: 'shop',
    labels: { app: 'web' },
    gateway: 'g',
    waypointClass: 'istio-waypoint',
  };

  test.each<[string, TelemetryPlace, string[]]>([
    ['a workload', { namespace: 'shop', labels: { app: 'api' } }, ['root', 'older']],
    [
      'a workload that is chosen',
      { namespace: 'shop', labels: { app: 'web' } },
      ['root', 'older', 'web'],
    ],
    [
      'a gateway, by its name and its labels',
      { namespace: 'shop', labels: { app: 'web' }, gateway: 'g' },
      ['root', 'older', 'gateway', 'web'],
    ],
    ['a waypoint, never by its labels', waypoint, ['root', 'class', 'older', 'gateway']],
    [
      'a service at its waypoint',
      { ...waypoint, service: { kind: 'Service', namespace: 'shop', name: 's' } },
      ['root', 'class', 'older', 'gateway', 'service'],
    ],
    [
      'a service of another namespace',
      { ...waypoint, service: { kind: 'Service', namespace: 'other', name: 's' } },
      ['root', 'class', 'older', 'wide', 'service'],
    ],
    [
      'a ServiceEntry of that name',
      { ...waypoint, service: { kind: 'ServiceEntry', namespace: 'shop', name: 's' } },
      ['root', 'class', 'older', 'gateway'],
    ],
    ['the root namespace itself', { namespace: 'istio-system', labels: {} }, ['root']],
  ])('%s', (_title, place, want) => {
    expect(inForce(place)).toEqual(want);
  });
});

describe('findings', () => {
  const at = (spec: TelemetrySpec) =>
    compileTelemetry({ metadata: { namespace: 'n', name: 't' }, spec }).findings.map(
      ({ level, path }) => `${level} ${path}`,
    );

  test.each<[string, TelemetrySpec, string[]]>([
    [
      'a label without value',
      { metrics: [{ overrides: [{ tagOverrides: { a: {} } }] }] },
      ['error spec.metrics[0].overrides[0].tagOverrides.a.value'],
    ],
    [
      'a label that is removed with a value',
      { metrics: [{ overrides: [{ tagOverrides: { a: { operation: 'REMOVE', value: 'x' } } }] }] },
      ['error spec.metrics[0].overrides[0].tagOverrides.a.value'],
    ],
    [
      'a label that is no label',
      { metrics: [{ overrides: [{ tagOverrides: { 'a-b': { value: "'x'" } } }] }] },
      ['error spec.metrics[0].overrides[0].tagOverrides.a-b'],
    ],
    [
      'an expression that cannot be judged',
      { metrics: [{ overrides: [{ tagOverrides: { a: { value: 'xds.route_name' } } }] }] },
      ['warning spec.metrics[0].overrides[0].tagOverrides.a.value'],
    ],
    [
      'a metric that is none',
      { metrics: [{ overrides: [{ match: { metric: 'X' } }] }] },
      ['error spec.metrics[0].overrides[0].match.metric'],
    ],
    [
      'a metric of others',
      { metrics: [{ overrides: [{ match: { customMetric: 'my_total' } }] }] },
      ['warning spec.metrics[0].overrides[0].match.customMetric'],
    ],
    [
      'an interval',
      { metrics: [{ reportingInterval: '5s' }] },
      ['info spec.metrics[0].reportingInterval'],
    ],
    [
      'a mode that is none',
      { accessLogging: [{ match: { mode: 'BOTH' } }] },
      ['error spec.accessLogging[0].match.mode'],
    ],
    [
      'a filter that is no CEL',
      { accessLogging: [{ filter: { expression: 'a ==' } }] },
      ['error spec.accessLogging[0].filter.expression'],
    ],
    [
      'a filter that cannot be judged',
      { accessLogging: [{ filter: { expression: 'xds.a == 1' } }] },
      ['warning spec.accessLogging[0].filter.expression'],
    ],
    [
      'two tracers',
      { tracing: [{ providers: [{ name: 'a' }, { name: 'b' }] }] },
      ['warning spec.tracing[0].providers'],
    ],
    [
      'too much sampling',
      { tracing: [{ randomSamplingPercentage: 101 }] },
      ['error spec.tracing[0].randomSamplingPercentage'],
    ],
    [
      'a tag without kind',
      { tracing: [{ customTags: { a: {} } }] },
      ['error spec.tracing[0].customTags.a'],
    ],
    [
      'a selector beside targets',
      { selector: { matchLabels: { a: 'b' } }, targetRef: { kind: 'Service', name: 's' } },
      ['error spec.selector'],
    ],
    [
      'a target of another kind',
      { targetRefs: [{ kind: 'Pod', name: 's' }] },
      ['error spec.targetRefs[0].kind'],
    ],
    [
      'a target elsewhere',
      { targetRefs: [{ kind: 'Service', name: 's', namespace: 'm' }] },
      ['error spec.targetRefs[0].namespace'],
    ],
    [
      'a provider without name',
      { tracing: [{ providers: [{}] }] },
      ['error spec.tracing[0].providers[0].name'],
    ],
  ])('%s', (_title, spec, want) => {
    expect(at(spec)).toEqual(want);
  });

  test('an interval is told with what happens in its place, and what to do', () => {
    const spec = { metrics: [{ reportingInterval: '5s' }] };
    const { findings } = compileTelemetry({ metadata: { namespace: 'n', name: 't' }, spec });
    expect(findings).toMatchObject([
      {
        level: 'info',
        path: 'spec.metrics[0].reportingInterval',
        message: expect.stringMatching(/^no 5s are waited for: bytes of open TCP connections/),
        hint: expect.stringMatching(/^remove the field: .* in Prometheus$/),
      },
    ]);
  });

  test('providers that the mesh lacks or that cannot do it, and a second one for a namespace, are told', () => {
    const mesh = compileMeshTelemetry(
      MESH,
      new Findings('ConfigMap', { namespace: 'i', name: 'istio' }),
    );
    const spec = { tracing: [{ providers: [{ name: 'zip' }] }, { providers: [{ name: 'none' }] }] };
    const younger = telemetry('n/younger', spec, 5);
    const found = referenceFindings(younger, mesh, [younger, telemetry('n/older', {})]);
    expect(found.map(({ level, path, code }) => `${level} ${code} ${path}`)).toEqual([
      'warning TULLE0001 spec.tracing[0].providers[0].name',
      'warning IST0101 spec.tracing[1].providers[0].name',
      'warning IST0109 spec',
    ]);
  });

  test.each<[string, MeshTelemetrySpec, string]>([
    [
      'zipkin',
      { defaultConfig: { tracing: { zipkin: { address: 'z:9411' } } } },
      'mesh.defaultConfig.tracing.zipkin',
    ],
    [
      'a provider of another protocol',
      { extensionProviders: [{ name: 'z', skywalking: {} }] },
      'mesh.extensionProviders[0].skywalking',
    ],
    [
      'a collector without port',
      { extensionProviders: [{ name: 'o', opentelemetry: { service: 'a' } }] },
      'mesh.extensionProviders[0].opentelemetry',
    ],
    [
      'a default that is not there',
      { defaultProviders: { tracing: ['o'] } },
      'mesh.defaultProviders.tracing[0]',
    ],
    [
      'a JSON format that is none',
      { accessLogEncoding: 'JSON', accessLogFormat: '%A%' },
      'mesh.accessLogFormat',
    ],
    [
      'an operator that is not known',
      { accessLogFormat: '%PROTOCOL% %NO_SUCH%' },
      'mesh.accessLogFormat',
    ],
    [
      'one in the fields of a provider',
      {
        extensionProviders: [
          { name: 'f', envoyFileAccessLog: { logFormat: { labels: { a: '%NO_SUCH%' } } } },
        ],
      },
      'mesh.extensionProviders[0].envoyFileAccessLog.logFormat',
    ],
    [
      'a header out of the environment',
      {
        extensionProviders: [
          {
            name: 'o',
            opentelemetry: { ...COLLECTOR, http: { headers: [{ name: 'a', envName: 'B' }] } },
          },
        ],
      },
      'mesh.extensionProviders[0].opentelemetry.headers[0]',
    ],
  ])('of MeshConfig: %s', (_title, mesh, want) => {
    const findings = new Findings('ConfigMap', { namespace: 'i', name: 'istio' });
    compileMeshTelemetry(mesh, findings);
    expect(findings.list.map(({ path }) => path)).toEqual([want]);
  });
});
