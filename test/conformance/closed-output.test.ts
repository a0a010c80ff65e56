/** Whoever reads a proxy's output may go away, as a log collector that restarts: that costs lines, not the proxy. */
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, untilListening } from '#test/support/guarded-process.ts';
import { staticFile } from '#test/support/http-engine.ts';
import { ROOT } from '#test/support/lab.ts';

test('a waypoint serves on when nobody reads its standard output and standard error any more', async () => {
  using upstream = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('ok') });
  const folder = mkdtempSync(join(tmpdir(), 'tulle-closed-output-'));
  const file = join(folder, 'waypoint.json');
  const port = await freePort();
  const config = { ...staticFile({ upstreamPort: upstream.port! }), accessLog: 'text' };
  writeFileSync(file, JSON.stringify({ ...config, listen: { address: '127.0.0.1', port } }));
  const words = [join(ROOT, 'tulle'), 'role', 'waypoint', '--static', file];
  const child = Bun.spawn(words, { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    await untilListening(port);
    const ask = () => fetch(`http://127.0.0.1:${port}/`, { keepalive: false });
    const lines = child.stdout.getReader();
    expect((await ask()).status).toBe(200);
    expect(new TextDecoder().decode((await lines.read()).value)).toContain('"GET / HTTP/1.1" 200');
    await lines.cancel();
    await child.stderr.cancel();
    // A line leaves within a tenth of a second: several writes fail while these are asked for.
    for (let count = 0; count < 12; count++) {
      expect((await ask()).status).toBe(200);
      await Bun.sleep(50);
    }
    expect(child.exitCode).toBeNull();
  } finally {
    child.kill('SIGKILL');
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
