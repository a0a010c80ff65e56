import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { acceptedBy, type HttpAnswer, httpOutcome } from './answer.ts';
import { ExportAnswer, RpcStatus } from './messages.ts';

const ANSWER: HttpAnswer = {
  status: 200,
  isJson: false,
  body: new Uint8Array(),
  retryAfter: null,
  nowMs: Date.UTC(2026, 0, 1),
};
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const ACCEPTED = { kind: 'accepted', rejected: 0, reason: '' };
const partial = ExportAnswer.encode({ partialSuccess: { rejected: 3, errorMessage: 'too old' } });

describe('httpOutcome', () => {
  const rows: [title: string, answer: Partial<HttpAnswer>, want: object][] = [
    ['200 without a body', {}, ACCEPTED],
    ['200 with what is no message', { body: new Uint8Array([255]) }, ACCEPTED],
    ['200 in JSON', { isJson: true, body: text({}) }, ACCEPTED],
    ['200 in JSON that is none', { isJson: true, body: new Uint8Array([0x7b]) }, ACCEPTED],
    [
      'a part was rejected',
      { body: partial },
      { kind: 'accepted', rejected: 3, reason: 'too old' },
    ],
    [
      'a part was rejected, in JSON',
      { isJson: true, body: text({ partialSuccess: { rejectedSpans: '2', errorMessage: 'x' } }) },
      { kind: 'accepted', rejected: 2, reason: 'x' },
    ],
    [
      'a warning alone',
      { isJson: true, body: text({ partialSuccess: { errorMessage: 'x' } }) },
      ACCEPTED,
    ],
    ['400', { status: 400 }, { kind: 'refused', reason: 'HTTP status 400' }],
    [
      '400 with its reason',
      { status: 400, body: RpcStatus.encode({ code: 3, message: 'bad\nspan' }) },
      { kind: 'refused', reason: 'HTTP status 400: bad span' },
    ],
    ['401', { status: 401 }, { kind: 'refused', reason: 'HTTP status 401' }],
    ['404', { status: 404 }, { kind: 'refused', reason: 'HTTP status 404' }],
    ['a redirect', { status: 307 }, { kind: 'refused', reason: 'HTTP status 307' }],
    ['500', { status: 500 }, { kind: 'refused', reason: 'HTTP status 500' }],
    ['429', { status: 429 }, { kind: 'again', reason: 'HTTP status 429', afterMs: undefined }],
    [
      '503 with seconds',
      { status: 503, retryAfter: '7' },
      { kind: 'again', reason: 'HTTP status 503', afterMs: 7000 },
    ],
    [
      '503 with a date',
      { status: 503, retryAfter: 'Thu, 01 Jan 2026 00:00:05 GMT' },
      { kind: 'again', reason: 'HTTP status 503', afterMs: 5000 },
    ],
    [
      '503 with a day',
      { status: 503, retryAfter: '86400' },
      { kind: 'again', reason: 'HTTP status 503', afterMs: 60_000 },
    ],
    [
      '503 with nonsense',
      { status: 503, retryAfter: 'soon' },
      { kind: 'again', reason: 'HTTP status 503', afterMs: undefined },
    ],
  ];
  test.each(rows)('%s', (_title, answer, want) => {
    expect(httpOutcome({ ...ANSWER, ...answer })).toEqual(want as never);
  });

  test('no body makes it throw', () => {
    const bodies = fc.uint8Array({ maxLength: 200 });
    const property = fc.property(
      bodies,
      fc.boolean(),
      fc.integer({ min: 200, max: 599 }),
      (body, isJson, status) => {
        httpOutcome({ ...ANSWER, body, isJson, status });
        acceptedBy(body);
      },
    );
    fc.assert(property);
  });
});
