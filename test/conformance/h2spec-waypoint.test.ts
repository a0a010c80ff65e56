/**
 * h2spec with its strict cases against a waypoint engine that forwards to an HTTP/1.1 upstream: over TLS with ALPN, and with
 * prior knowledge on the port that takes HTTP/1.1 as well.
 */
import { describe, expect, test } from 'bun:test';
import { createTestCa } from '#test/support/certificates.ts';
import { h2spec, missingH2spec } from '#test/support/h2spec.ts';
import { httpEngine } from '#test/support/http-engine.ts';
import { recordingUpstream } from '#test/support/recording-upstream.ts';

const ALL = ['generic', 'http2', 'hpack'];

const BODY = 'x'.repeat(20_000);

describe.skipIf(missingH2spec() !== undefined)('h2spec', () => {
  test.each(['tls', 'prior knowledge'] as const)(
    'finds nothing wrong: %s',
    async (how) => {
      await using upstream = await recordingUpstream(
        `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
      );
      const identity = await (await createTestCa()).issue('spiffe://cluster.local/ns/shop/sa/p');
      using mesh = httpEngine({ upstreamPort: upstream.port, identity });
      const isTls = how === 'tls';
      const report = await h2spec(isTls ? mesh.tlsPort : mesh.port, ALL, { isTls });
      expect([report.failed, report.skipped]).toEqual([[], []]);
      expect(report.passed).toBeGreaterThanOrEqual(146);
    },
    120_000,
  );
});
