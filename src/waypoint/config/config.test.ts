import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMeshError } from '#base/errors.ts';
import { HOST, route, table, to, upstream } from '#test/support/waypoint-rig.ts';
import { classify } from '../listener/serve-connection.ts';
import { grpcStatusOf, replyFor, replyHead } from '../respond.ts';
import { parseWaypointOptions } from './options.ts';
import { parseStaticConfig, readStaticConfig } from './static-file.ts';

describe('parseWaypointOptions', () => {
  test('takes Istio’s environment, flags win, https:// is dropped', () => {
    const env = {
      POD_NAME: 'waypoint-1',
      POD_NAMESPACE: 'shop',
      INSTANCE_IP: '198.18.1.9',
      XDS_ADDRESS: 'https://istiod.istio-system.svc:15012',
      ISTIO_META_CLUSTER_ID: 'c1',
    };
    expect(parseWaypointOptions(['--access-log', 'json', '--hbone-port', '0'], env)).toMatchObject({
      podName: 'waypoint-1',
      podNamespace: 'shop',
      podIp: '198.18.1.9',
      xdsAddress: 'istiod.istio-system.svc:15012',
      caAddress: 'istiod.istio-system.svc:15012',
      clusterId: 'c1',
      accessLog: 'json',
      hbonePort: 0,
    });
  });

  test('takes durations of streams', () => {
    const flags = ['--stream-idle-timeout', '0', '--max-stream-duration', '1h'];
    expect(parseWaypointOptions(flags, {})).toMatchObject({
      streamIdleMs: 0,
      streamLifeMs: 3_600_000,
    });
    const env = { STREAM_IDLE_TIMEOUT: '90s' };
    expect(parseWaypointOptions([], env)).toMatchObject({ streamIdleMs: 90_000, streamLifeMs: 0 });
  });

  test('reads the labels of its pod where the downward API wrote them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-labels-'));
    const path = join(folder, 'labels');
    writeFileSync(path, 'app="web"\ntopology.kubernetes.io/zone="z1"\n');
    const labelsOf = (file: string) =>
      parseWaypointOptions([], { POD_LABELS_FILE: file })?.podLabels;
    try {
      expect(labelsOf(path)).toEqual({ app: 'web', 'topology.kubernetes.io/zone': 'z1' });
      expect(labelsOf(join(folder, 'none'))).toEqual({});
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    [['--stream-idle-timeout', 'soon']],
    [['--hbone-port', 'x']],
    [['--access-log', 'xml']],
    [['--nope']],
    [['stray']],
  ])('refuses %j with one sentence', (argv) => {
    try {
      parseWaypointOptions(argv, {});
      expect.unreachable();
    } catch (error) {
      expect(isMeshError(error, 'WAYPOINT_OPTIONS')).toBe(true);
    }
  });
});

describe('static configuration', () => {
  const file = {
    listen: { address: '127.0.0.1', port: 0 },
    service: `shop/${HOST}`,
    port: 80,
    tables: [table([route('r', [to('stable')])])],
    upstreams: [upstream()],
  };

  test('resolves its tables and upstreams by service key', () => {
    const config = parseStaticConfig(file);
    expect(config.host).toBe(HOST);
    expect(config.input.upstream(`shop/${HOST}`)?.hostname).toBe(HOST);
    expect(config.accessLog).toBe('off');
  });

  test('names what is missing or malformed', () => {
    expect(() => parseStaticConfig({ ...file, service: 'shop/other' })).toThrow(
      'no table for service shop/other',
    );
    expect(() => parseStaticConfig({ ...file, port: 81 })).toThrow('has no port 81');
    const broken = [{ ...table([]), ports: [{ port: 80 } as never] }];
    expect(() => parseStaticConfig({ ...file, tables: broken })).toThrow(
      'port 80 has no list of routes',
    );
    expect(() => readStaticConfig('/nonexistent.json')).toThrow('cannot use /nonexistent.json');
  });
});

describe('classify', () => {
  test.each([
    ['GET / HTTP/1.1', false, 'h1'],
    ['PRI * HTTP/2.0', false, 'h2'],
    ['PR', false, 'more'],
    ['PRO', false, 'h1'],
    ['GET / HTTP/1.1', true, 'h1'],
    ['GE', true, 'more'],
    ['\u0016\u0003\u0001', true, 'raw'],
    ['SSH-2.0', true, 'raw'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZ', true, 'raw'],
  ] as const)('%j with raw %p is %s', (text, mayBeRaw, want) => {
    expect(classify(Buffer.from(text, 'latin1'), mayBeRaw)).toBe(want);
  });
});

describe('the response table', () => {
  test.each([
    ['no-route', 404, 'NR'],
    ['no-healthy-upstream', 503, 'UH'],
    ['broken-destination', 503, 'NC'],
    ['overflow', 503, 'UO'],
    ['connect-failure', 503, 'UF'],
    ['upstream-reset', 503, 'UC'],
    ['upstream-refused', 503, 'UR'],
    ['request-timeout', 504, 'UT'],
    ['per-try-timeout', 504, 'UT'],
    ['denied', 403, '-'],
  ] as const)('%s is %d %s', (fault, status, flag) => {
    expect(replyFor(fault)).toMatchObject({ status, flag });
  });

  test('gRPC gets a status and a message that is safe in a header', () => {
    const head = replyHead({ status: 503 }, new Uint8Array(0), 'größe 100%\n');
    expect(head.get('grpc-status')).toBe('14');
    expect(head.get('grpc-message')).toBe('gr%C3%B6%C3%9Fe 100%25%0A');
    expect([400, 401, 403, 404, 429, 504, 500].map(grpcStatusOf)).toEqual([
      13, 16, 7, 12, 14, 14, 2,
    ]);
  });
});
