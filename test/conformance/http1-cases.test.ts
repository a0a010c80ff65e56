/**
 * Cases of another project's HTTP/1.1 parser through a running engine, judged by its answers and by what a recording upstream
 * receives. Runs where the cases are beside the checkout. Rows lose their last empty line, and many have no Host, which a server
 * must have (RFC 9112 §3.2): both are given back before they are sent.
 */
import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { faultyUpstream } from '#test/support/faulty-upstream.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';
import { httpEngine } from '#test/support/http-engine.ts';
import { sendRaw } from '#test/support/raw-client.ts';
import { recordingUpstream } from '#test/support/recording-upstream.ts';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly lenient: boolean;
  readonly direction: 'request' | 'response';
  readonly rawBase64: string;
  readonly expect: 'accept' | 'reject';
  readonly reason: string | null;
}

/** Rows that are judged otherwise here, and why. */
const DIFFERENT: Readonly<Record<string, 'accept' | 'reject'>> = {
  // RTSP and ICE are not HTTP.
  'OPTIONS request with RTSP': 'reject',
  'ICE response': 'reject',
};

/** llhttp stops there and says so; a server goes on: the tunnel, or the end of the connection, is tried elsewhere. */
const NO_REFUSAL = ['Pause on CONNECT/Upgrade', 'Data after `Connection: close`'];

const ROWS = foreignCases<Row>('http1.json')?.filter(({ lenient }) => !lenient);

function bytesOf(row: Row): string {
  const text = Buffer.from(row.rawBase64, 'base64').toString('latin1');
  return text.endsWith('\r\n') && !text.endsWith('\r\n\r\n') ? `${text}\r\n` : text;
}

/** Each head that has no Host gets one behind its start line. */
function withHost(text: string): string {
  return text.replace(
    /^([A-Z]+ [^\r\n]+ HTTP\/1\.1\r\n)((?:[^\r\n]+\r\n)*)/gm,
    (head, line: string, fields: string) =>
      /^host:/im.test(fields) ? head : `${line}Host: a\r\n${fields}`,
  );
}

describe.skipIf(ROWS === undefined)('cases of another HTTP/1.1 parser', async () => {
  const upstream = await recordingUpstream();
  const mesh = httpEngine({ upstreamPort: upstream.port });
  afterAll(async () => {
    mesh[Symbol.dispose]();
    await upstream[Symbol.asyncDispose]();
  });
  beforeEach(() => upstream.forget());

  const requests = ROWS?.filter(({ direction }) => direction === 'request') ?? [];
  test.each(requests)('$id $name', async (row) => {
    const { statuses } = await sendRaw(mesh.port, withHost(bytesOf(row)));
    const isRefused = statuses.some((status) => status === 400 || status === 501 || status === 417);
    const mayPass = row.expect === 'accept' || NO_REFUSAL.includes(row.reason ?? '');
    const want = DIFFERENT[row.name] ?? (mayPass ? 'accept' : 'reject');
    if (NO_REFUSAL.includes(row.reason ?? '')) expect(upstream.requests.length).toBeLessThan(2);
    else expect(isRefused ? 'reject' : 'accept').toBe(want);
    expect(upstream.faults).toEqual([]);
  });

  const responses = ROWS?.filter(({ direction }) => direction === 'response') ?? [];
  test.each(responses)('$id $name', async (row) => {
    const bytes = Buffer.from(bytesOf(row), 'latin1');
    await using answering = await faultyUpstream((socket) => void socket.end(bytes));
    using one = httpEngine({ upstreamPort: answering.port });
    const answer = await sendRaw(one.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [status] = answer.statuses;
    const isBroken = answer.closed && !/\r\n0\r\n\r\n$/.test(answer.text);
    const isRefused = status === 502 || status === 503 || (isBroken && row.expect === 'reject');
    const want = DIFFERENT[row.name] ?? row.expect;
    if (NO_REFUSAL.includes(row.reason ?? '')) expect(answer.statuses.length).toBe(1);
    else expect(isRefused ? 'reject' : 'accept').toBe(want);
  });
});
