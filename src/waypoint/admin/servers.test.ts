/** The admin port of a waypoint, asked over HTTP as a person would. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { LogLevels } from '#base/log.ts';
import { list } from '#telemetry/admin/json-stream.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { freePort } from '#test/support/guarded-process.ts';
import { startAdmin } from './servers.ts';

const ports = { admin: 0, metrics: 0, readiness: 0 };
let stop: () => void;

const ask = (path: string, port = ports.admin) => fetch(`http://127.0.0.1:${port}${path}`);

beforeAll(async () => {
  for (const name of ['admin', 'metrics', 'readiness'] as const) ports[name] = await freePort();
  stop = startAdmin(
    {
      registry: new MetricRegistry(),
      status: () => ({ role: 'waypoint' }),
      notReady: () => undefined,
      admin: {
        levels: new LogLevels('info'),
        config: () => ({}),
        connections: () => ({}),
        certificates: () => ({ certificates: list([{ identity: 'me' }]) }),
      },
    },
    ports,
  );
});

afterAll(() => stop());

describe('startAdmin', () => {
  test('/ lists every path and each of them answers', async () => {
    const index = await (await ask('/')).text();
    const paths = index.match(/^\/\S+/gm) ?? [];
    expect(paths).toContain('/certs');
    for (const path of paths) expect([path, (await ask(path)).status]).toEqual([path, 200]);
  });

  test('/certs is for who is in the pod only', async () => {
    expect(await (await ask('/certs')).json()).toEqual({ certificates: [{ identity: 'me' }] });
    for (const port of [ports.metrics, ports.readiness])
      expect((await ask('/certs', port)).status).toBe(404);
  });
});
