import { describe, expect, test } from 'bun:test';
import { compileFilterText } from '#config/compile/telemetry/expression.ts';
import { DEFAULT_SCOPED } from '#model/telemetry/scopes.ts';
import type { AccessLogOutput } from '#model/telemetry/settings.ts';
import { route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { ProxyTelemetry } from '../config/telemetry.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const [STANDARD] = DEFAULT_SCOPED.server.accessLog.outputs;

function rig(outputs: readonly Partial<AccessLogOutput>[]): WaypointRig {
  const mesh = new WaypointRig();
  const settings = {
    ...DEFAULT_SCOPED.server,
    accessLog: { outputs: outputs.map((part) => ({ ...STANDARD, ...part })) },
  };
  mesh.telemetry = new ProxyTelemetry(
    { ...DEFAULT_SCOPED, server: settings, client: settings },
    'server',
  );
  mesh.configure([route('r', [to('canary')])]);
  return mesh;
}

const text = (template: string) => ({ format: { kind: 'text', template } }) as const;

describe('AccessLogs', () => {
  test('a template of text sees the request, its answer and its trace', async () => {
    const mesh = rig([
      text(
        '%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %RESP(server)% %TRACE_ID% %UPSTREAM_CLUSTER% "%TULLE_ROUTE%" %UPSTREAM_REQUEST_ATTEMPT_COUNT% %DOWNSTREAM_PEER_URI_SAN%',
      ),
    ]);
    mesh.scripts.set('c1', () => ({ answer: 201, headers: { server: 'echo' } }));
    await mesh.get('/cart', { traceparent: `00-${TRACE}-00f067aa0ba902b7-00` });
    expect(mesh.log).toBe(
      `GET /cart 201 echo ${TRACE} outbound|80|canary|p.shop.svc.cluster.local "VirtualService shop/p r" 1 spiffe://cluster.local/ns/shop/sa/web\n`,
    );
  });

  test('a template sees trailers; what Istio’s default format has and is not known here is a dash', async () => {
    const mesh = rig([
      text('%TRAILER(X-Sum)% %UPSTREAM_LOCAL_ADDRESS% %CONNECTION_TERMINATION_DETAILS%'),
    ]);
    mesh.scripts.set('c1', (_request, count) => ({
      answer: 200,
      ...(count === 1 && { trailers: { 'x-sum': '7' } }),
    }));
    await mesh.get();
    await mesh.get();
    expect(mesh.log).toBe('7 - -\n- - -\n');
  });

  test('a template of JSON', async () => {
    const fields = { code: '%RESPONSE_CODE%', flags: '%RESPONSE_FLAGS%', grpc: '%GRPC_STATUS%' };
    const mesh = rig([{ format: { kind: 'json', fields } }]);
    mesh.configure([]);
    await mesh.get();
    expect(JSON.parse(mesh.log)).toEqual({ code: 404, flags: 'NR', grpc: null });
  });

  test('a filter lets through what it is true of; each output has its own', async () => {
    const filter = compileFilterText('response.code >= 500');
    if ('reason' in filter) throw new Error(filter.reason);
    const mesh = rig([{ ...text('failed %RESPONSE_CODE%'), filter }, text('all %RESPONSE_CODE%')]);
    mesh.scripts.set('c1', (_request, count) => ({ answer: count === 1 ? 200 : 500 }));
    await mesh.get();
    await mesh.get();
    expect(mesh.log.split('\n')).toEqual(['all 200', 'failed 500', 'all 500', '']);
  });

  test('no output, no line', async () => {
    const mesh = rig([]);
    await mesh.get();
    expect(mesh.log).toBe('');
  });

  test('what a client sends can neither forge a line nor a field, nor grow without bound', async () => {
    const evil = 'a"\n[fake] \u0007\\';
    const template = '"%REQ(x-evil)%" %REQ(:PATH)%';
    const mesh = rig([
      text(template),
      { format: { kind: 'json', fields: { evil: '%REQ(x-evil)%' } } },
    ]);
    const exchange = mesh.begin('GET', `/${'x'.repeat(60_000)}`, {}, true);
    await mesh.settle();
    expect(exchange.status).toBe(200);
    expect(mesh.log.length).toBeLessThan(5000);
    const head = { 'x-evil': evil };
    await mesh.get('/', head);
    const lines = mesh.log.trimEnd().split('\n');
    expect(lines.length).toBe(4);
    expect(lines[2]).toStartWith('"a\\"');
    expect(JSON.parse(lines[3]).evil).toContain('a"');
  });

  test('bytes that never became a request, and standard fields in the encoding of the settings', async () => {
    const mesh = rig([{ format: { kind: 'standard', encoding: 'json' } }]);
    const refusal = { status: 400, flags: 'DPE', details: 'http1.codec_error', note: 'bad' };
    mesh.engine.recorder.refused(mesh.tunnel(), refusal);
    expect(JSON.parse(mesh.log)).toMatchObject({ response_code: 400, response_flags: 'DPE' });
  });
});
