/**
 * Our engine and Envoy side by side: generated requests must mean the same to a recording upstream behind either, and paths must
 * be normalized alike. Runs where there is an Envoy; `DIFFERENTIAL_CASES=10000 ENVOY=… npm test -- test/conformance/http-envoy.test.ts`
 * is the long form. docs/http.md lists the differences that are meant.
 */
import { describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { type Random, seededRandom } from '#base/random.ts';
import { normalizePath } from '#model/route/normalize-path.ts';
import { drawH1Case, H1_DELIBERATE } from '#test/support/differential-h1.ts';
import { drawH2Case, H2_DELIBERATE } from '#test/support/differential-h2.ts';
import { missingEnvoy, startEnvoy } from '#test/support/envoy-proxy.ts';
import { findDifferences } from '#test/support/http-differential.ts';
import { recordingUpstream } from '#test/support/recording-upstream.ts';

const CASES = Number(process.env.DIFFERENTIAL_CASES ?? 300);
/** Another one each day; it is printed when something differs. */
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Math.floor(Date.now() / 86_400_000));
const LONG_MS = 600_000;

describe.skipIf(missingEnvoy() !== undefined)('beside Envoy', () => {
  const PROTOCOLS = [
    ['HTTP/1.1', drawH1Case, H1_DELIBERATE],
    ['HTTP/2', drawH2Case, H2_DELIBERATE],
  ] as const;
  test.each(PROTOCOLS)(
    'many %s requests mean the same to the upstream',
    async (_protocol, draw, deliberate) => {
      const random = seededRandom(SEED);
      const found = await findDifferences(CASES, (id) => draw(id, random), deliberate);
      if (found.length > 0) console.error(`DIFFERENTIAL_SEED=${SEED}`);
      expect(found).toEqual([]);
    },
    LONG_MS,
  );

  const ATOMS = 'a . .. %2e %2E / // %2f %2F %5c \\ %41 %25 %00 %zz % %2 %4 %7e - _ ~'.split(' ');
  const MORE = '` { | } ^ " < > [ ] @ ! ( * %c3%a9 %7F %20 = & , + : ? # ?x=/../%2f #f'.split(' ');

  function drawPath(random: Random): string {
    let path = '/';
    for (let count = 1 + random.integer(7); count > 0; count--) {
      const atoms = random.integer(3) === 0 ? MORE : ATOMS;
      path += atoms[random.integer(atoms.length)];
    }
    return path;
  }

  test.each(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const)(
    'paths are normalized alike: %s',
    async (normalization) => {
      await using upstream = await recordingUpstream();
      await using envoy = await startEnvoy({ upstreamPort: upstream.port, normalization });
      const random = seededRandom(SEED);
      for (let count = Math.ceil(CASES / 4); count > 0; count--) {
        const path = drawPath(random);
        const before = upstream.requests.length;
        await statusOf(envoy.port, path);
        const seen = upstream.requests[before]?.target;
        expect({ path, became: normalizePath(path, normalization) }).toEqual({
          path,
          became: seen,
        });
      }
    },
    LONG_MS,
  );
});

function statusOf(port: number, path: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => resolve(''));
  socket.once('data', (bytes) => {
    socket.destroy();
    resolve(bytes.toString('latin1', 9, 12));
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return promise;
}
