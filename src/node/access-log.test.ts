import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { MeshError } from '#base/errors.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import { lineOf } from '#test/support/taken-lines.ts';
import { type ConnectionLog, putConnection } from './access-log.ts';
import { closeCauseOf } from './close-cause.ts';
import { completeWorkload } from './config/static-file.ts';

const broken = new MeshError('NET_RESET', 'a "peer" broke it off', { side: 'upstream', hint: 'h' });
const denied = new MeshError('NODE_POLICY', 'denied', {
  side: 'downstream',
  hint: 'h',
  decidedBy: 'shop/"strict"',
});
const ENDS = [undefined, broken, denied].map((error) => ({
  bytesSent: 5,
  bytesReceived: 7_000_000_000,
  durationMs: 3.4,
  error,
  cause: closeCauseOf(error, 'downstream'),
}));

/** Few of each, so that parties meet again in other pairs and at the same addresses. */
const NAMES = ['web', 'web', 'db'];
const workloads = NAMES.map((name, index) =>
  completeWorkload({ namespace: 'shop', name, addresses: [`198.18.0.${index}`] }, 'cluster.local'),
);
const identities = ['spiffe://cluster.local/ns/shop/sa/web', 'a "quoted" one'];
const maybe = <T>(of: readonly T[]) => fc.constantFrom<T | undefined>(undefined, ...of);
const address = fc.record({
  address: fc.constantFrom('198.18.0.1', '198.18.0.2', '2001:2::1'),
  port: fc.constantFrom(80, 144, 40_000),
});
const connection: fc.Arbitrary<ConnectionLog> = fc.record({
  direction: fc.constantFrom('inbound', 'outbound'),
  source: address,
  sourceWorkload: maybe(workloads),
  sourceIdentity: maybe(identities),
  destination: address,
  hboneAuthority: maybe(['198.18.0.2:80', 'a b']),
  service: maybe(['web.shop.svc.cluster.local', 'db.shop.svc.cluster.local']),
  destinationWorkload: maybe(workloads),
  destinationIdentity: maybe(identities),
  // Empty: there is one, and nobody will find it.
  trace: maybe(
    ['', '4bf92f3577b34da6a3ce929d0e0e4736'].map((exemplar) => ({ exemplar }) as RequestTrace),
  ),
});

/** What the text says, made of the JSON line of the same connection. */
function textOf(json: string): string {
  const { level, time, scope, message, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const bare = ['src.addr', 'dst.addr', 'dst.hbone_addr', 'bytes_sent', 'bytes_recv', 'trace_id'];
  const words = Object.entries(fields).map(([key, value]) => {
    const isBare = bare.includes(key) && !String(value).includes(' ');
    return `${key}=${isBare ? value : JSON.stringify(value)}`;
  });
  return `${time}\t${level}\t${scope}\t${message}\t${words.join(' ')}\n`;
}

test('the text of a connection says what its JSON says, whatever the lines before it were of', () => {
  fc.assert(
    fc.property(fc.array(connection, { minLength: 1, maxLength: 20 }), maybe(ENDS), (logs, end) => {
      for (const log of logs) {
        const line = { time: '2026-01-01T00:00:00Z', log, end };
        const text = lineOf(putConnection, { ...line, format: 'text' });
        expect(text).toBe(textOf(lineOf(putConnection, { ...line, format: 'json' })));
      }
    }),
  );
});
