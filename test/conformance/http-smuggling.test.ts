/**
 * Request smuggling, judged on what a recording upstream receives through a running engine: each request whole and alone,
 * framed in one way, or not at all.
 */
import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { httpEngine } from '#test/support/http-engine.ts';
import { sendRaw } from '#test/support/raw-client.ts';
import { type ReceivedRequest, recordingUpstream } from '#test/support/recording-upstream.ts';
import { SMUGGLING_ROWS } from '#test/support/smuggling-rows.ts';

const upstream = await recordingUpstream();
const mesh = httpEngine({ upstreamPort: upstream.port });
afterAll(async () => {
  mesh[Symbol.dispose]();
  await upstream[Symbol.asyncDispose]();
});

/** Fields that frame a message or end at a hop: of the client's, none may arrive. */
const HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'http2-settings'];

function summary({ method, target, fields, body }: ReceivedRequest): string {
  return `${method} ${target} ${fields.find(([name]) => name === 'host')?.[1]} ${body}`;
}

describe('a request with', () => {
  beforeEach(() => upstream.forget());
  for (const { title, bytes, statuses, upstream: wanted } of SMUGGLING_ROWS) {
    test(title, async () => {
      const answer = await sendRaw(mesh.port, bytes);
      expect(answer.statuses).toEqual([...statuses]);
      if (statuses.some((status) => status >= 400)) expect(answer.closed).toBe(true);
      expect(upstream.requests.map(summary)).toEqual([...wanted]);
      expect(upstream.faults).toEqual([]);
      const names = upstream.requests.flatMap(({ fields }) => fields.map(([name]) => name));
      expect(names.filter((name) => HOP.includes(name))).toEqual([]);
    });
  }

  test('any of these, cut between any two bytes, is judged the same', async () => {
    for (const { bytes, statuses } of SMUGGLING_ROWS.filter((_, index) => index % 7 === 0)) {
      const at = 1 + (bytes.length % 23);
      const pieces = [bytes.slice(0, at), bytes.slice(at, at * 2), bytes.slice(at * 2)];
      const answer = await sendRaw(
        mesh.port,
        pieces.filter((piece) => piece !== ''),
      );
      expect(answer.statuses).toEqual([...statuses]);
    }
    expect(upstream.faults).toEqual([]);
  });
});
