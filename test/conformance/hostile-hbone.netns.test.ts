/** Peers with a good certificate that misbehave on a pod's 15008: each is stopped, said once, and felt by nobody else. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { frame, headers, settings, uint32Frame } from '#test/support/h2-script.ts';
import {
  ECHO_PORT,
  HostileRig,
  type Neighbour,
  type PeerEnd,
  until,
} from '#test/support/hostile-rig.ts';
import { missingFor } from '#test/support/lab.ts';
import { SERVER_IP } from '#test/support/pod-pair.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';

const HELLO = CLIENT_PREFACE.toString('latin1') + settings();
const connect = (id: number, port = ECHO_PORT) =>
  headers(id, false, ':method', 'CONNECT', ':authority', `${SERVER_IP}:${port}`);
const times = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => make(index)).join('');
const oddId = (index: number) => index * 2 + 1;
const ping = frame(code.PING, 0, 0, Buffer.alloc(8));
const reset = (id: number) => uint32Frame(code.RST_STREAM, id, code.CANCEL);
/** HEADERS that END_HEADERS does not end. */
const openBlock = frame(code.HEADERS, 0, 1, Buffer.from([0x82]));

interface Row {
  title: string;
  send: string;
  goAway: string;
  log: string;
}

const ROWS: Row[] = [
  {
    title: 'rapid reset (CVE-2023-44487)',
    send: HELLO + times(600, (index) => connect(oddId(index)) + reset(oddId(index))),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'most of its streams are reset unanswered',
  },
  {
    title: 'making us reset (CVE-2025-8671)',
    send:
      HELLO +
      times(
        600,
        (index) => connect(oddId(index)) + uint32Frame(code.WINDOW_UPDATE, oddId(index), 0),
      ),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'most of its streams are reset unanswered',
  },
  {
    title: 'a flood of RST_STREAM on a stream that is over',
    send: HELLO + connect(1) + times(20_000, () => reset(1)),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of trailers on a stream that we reset',
    send:
      HELLO +
      connect(1) +
      uint32Frame(code.WINDOW_UPDATE, 1, 0) +
      times(20_000, () => headers(1, true, 'a', 'b')),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of SETTINGS ACK',
    send: HELLO + times(20_000, () => frame(code.SETTINGS, code.FLAG_ACK, 0)),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of GOAWAY',
    send: HELLO + connect(1) + times(20_000, () => frame(code.GOAWAY, 0, 0, Buffer.alloc(8))),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of CONTINUATION frames (CVE-2024-27983)',
    send: HELLO + openBlock + times(5000, () => frame(code.CONTINUATION, 0, 1, Buffer.alloc(1))),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'a header block has too many CONTINUATIONs',
  },
  {
    title: 'a header block without end in large CONTINUATIONs',
    send: HELLO + openBlock + times(8, () => frame(code.CONTINUATION, 0, 1, Buffer.alloc(16_000))),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'a header block has too many CONTINUATIONs',
  },
  {
    title: 'a flood of SETTINGS (CVE-2019-9515)',
    send: HELLO + times(20_000, () => settings()),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of PING (CVE-2019-9512)',
    send: HELLO + times(20_000, () => ping),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of empty DATA (CVE-2019-9518)',
    send: HELLO + connect(1) + times(20_000, () => frame(code.DATA, 0, 1)),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of empty DATA on a stream that is over',
    send: HELLO + connect(1) + reset(1) + times(20_000, () => frame(code.DATA, 0, 1)),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of PRIORITY (CVE-2019-9513)',
    send: HELLO + times(20_000, () => frame(code.PRIORITY, 0, 1, Buffer.alloc(5))),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a flood of frames of an unknown type',
    send: HELLO + times(20_000, () => frame(0xbe, 0, 0)),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a connection window above 2^31-1',
    send: HELLO + uint32Frame(code.WINDOW_UPDATE, 0, 0x7fffffff),
    goAway: 'FLOW_CONTROL_ERROR',
    log: 'it widened the connection window over 2^31-1',
  },
  {
    title: 'an initial window that overflows the window of an open stream',
    send:
      HELLO + connect(1) + uint32Frame(code.WINDOW_UPDATE, 1, 0x7fff0000) + settings(4, 0x7fffffff),
    goAway: 'FLOW_CONTROL_ERROR',
    log: 'its initial window overflows a stream window',
  },
  {
    title: 'a frame above the size that was announced',
    send: HELLO + connect(1) + Buffer.from('1000010000000000019999', 'hex').toString('latin1'),
    goAway: 'FRAME_SIZE_ERROR',
    log: 'a frame has a size that its type does not allow',
  },
  {
    title: 'a HEADERS frame of 1 MiB, which the announced size allows',
    send: HELLO + frame(code.HEADERS, 4, 1, Buffer.alloc(1 << 20)),
    goAway: 'ENHANCE_YOUR_CALM',
    log: 'a header block is too large',
  },
  {
    title: 'PUSH_PROMISE',
    send: HELLO + frame(code.PUSH_PROMISE, 4, 1, Buffer.alloc(4)),
    goAway: 'PROTOCOL_ERROR',
    log: 'a frame is on a stream where its type is not allowed',
  },
  {
    title: 'a header block that HPACK cannot read',
    send: HELLO + frame(code.HEADERS, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
    goAway: 'COMPRESSION_ERROR',
    log: 'HTTP/2 peer: ',
  },
  {
    title: 'HTTP/1.1 inside good TLS',
    send: 'GET / HTTP/1.1\r\nHost: product\r\n\r\n',
    goAway: 'PROTOCOL_ERROR',
    log: 'it did not begin with the HTTP/2 preface',
  },
  {
    title: 'garbage inside good TLS',
    send: Buffer.from(crypto.getRandomValues(new Uint8Array(65_536))).toString('latin1'),
    goAway: 'PROTOCOL_ERROR',
    log: 'it did not begin with the HTTP/2 preface',
  },
  {
    title: 'a preface that turns into garbage half-way',
    send: `${HELLO.slice(0, 12)}${'\x00'.repeat(100)}`,
    goAway: 'PROTOCOL_ERROR',
    log: 'it did not begin with the HTTP/2 preface',
  },
];

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;

describe.skipIf(skip)('on 15008', () => {
  let rig: HostileRig;
  let neighbour: Neighbour;
  beforeAll(async () => {
    rig = await HostileRig.open();
    neighbour = await rig.neighbour();
  });
  afterAll(() => rig[Symbol.dispose]());
  beforeEach(() => until(() => rig.peers === 1));

  const failures = (peer: PeerEnd) =>
    rig.lines(peer).filter((line) => line.includes('connection failed'));

  for (const { title, send, goAway, log } of ROWS) {
    test(`${title}: ${goAway}, one line, no harm to others`, async () => {
      const peer = await rig.tls();
      peer.send(send);
      await until(() => peer.over);
      const said = peer.frames.find(({ type }) => type === code.GOAWAY)?.payload;
      expect(said && code.errorCodeName(said.readUInt32BE(4))).toBe(goAway);
      await neighbour.echo(title);
      await until(() => rig.peers === 1);
      expect(failures(peer)).toHaveLength(1);
      expect(failures(peer)[0]).toContain(log);
    });
  }
});
