import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { GraphEdge } from '#console/api/graph.ts';
import { edgeTableOf } from '../../../fixtures/edge-table.ts';
import { EdgeReader, eachEdge, edgeCount, edgesOf } from './edge-table.ts';

const name = fc.string({ minLength: 1, maxLength: 4 });
const names = fc.array(name, { maxLength: 2 });
const figure = fc.double({ min: 0, max: 1e9, noNaN: true });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
/** As objects of JSON can have them. */
const counts = fc.dictionary(
  name.filter((text) => text !== '__proto__'),
  fc.nat(),
  { maxKeys: 3, noNullPrototype: true },
);
const timed = fc.record({ p50Ms: figure, p95Ms: figure, p99Ms: figure });
const edge: fc.Arbitrary<GraphEdge> = fc
  .record({
    source: name,
    target: name,
    protocol: fc.constantFrom('http', 'grpc', 'tcp'),
    requestsPerSecond: figure,
    errorRate: figure,
    times: maybe(timed),
    bytesPerSecond: figure,
    connectionsPerSecond: figure,
    mtls: maybe(figure),
    responseCodes: counts,
    flags: counts,
    health: fc.record({
      status: fc.constantFrom('healthy', 'degraded', 'failing', 'unknown', 'idle'),
      reason: name,
      samples: fc.nat(),
    }),
    via: maybe(name),
    split: maybe(fc.record({ intended: figure, seen: figure, route: name })),
    principals: maybe(fc.record({ source: names, target: names })),
  })
  .map(({ times, ...rest }) => ({
    id: `${rest.source} ${rest.target} ${rest.protocol}`,
    ...rest,
    ...times,
  }));

describe('edge tables', () => {
  const edges = fc.array(edge, { maxLength: 12 });

  test('edgesOf gives the edges that a table was made of, after a way as JSON', () => {
    fc.assert(
      fc.property(edges, (told) => {
        const table = JSON.parse(JSON.stringify(edgeTableOf(told)));
        expect(edgeCount(table)).toBe(told.length);
        expect(edgesOf(table)).toEqual(told);
      }),
    );
  });

  test('EdgeReader gives the same in any parts', () => {
    fc.assert(
      fc.property(edges, fc.array(fc.integer({ min: 1, max: 4 })), (told, parts) => {
        const reader = new EdgeReader(edgeTableOf(told));
        const read = parts.flatMap((limit) => reader.next(limit));
        expect([...read, ...reader.next(told.length)]).toEqual(told);
        expect(reader.next(1)).toEqual([]);
      }),
    );
  });

  test('eachEdge shows of each what is summed', () => {
    fc.assert(
      fc.property(edges, (told) => {
        const seen: unknown[] = [];
        eachEdge(edgeTableOf(told), (each) => seen.push(structuredClone(each)));
        const want = told.map(
          ({ id, responseCodes, flags, via, split, principals, ...figures }) => figures,
        );
        expect(seen).toEqual(want);
      }),
    );
  });
});
