import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { digAuthority, noDig } from '#test/support/dig.ts';
import { CLASS_IN, RCODE, TYPE } from '#wire/dns/codes.ts';
import { UDP_MESSAGE_BYTES_MAX } from '#wire/dns/limits.ts';
import {
  type DnsMessage,
  decodeMessage,
  type Edns,
  encodeMessage,
  queryFor,
} from '#wire/dns/message.ts';
import { negativeAuthority } from '#wire/dns/negative.ts';
import { completeService } from '../config/static-file.ts';
import { encodeAnswer, encodeError, type LocalAnswer } from './answer.ts';
import {
  LOCAL_NEGATIVE_TTL_SECONDS,
  READ_ADDITIONALS_MAX,
  READ_QUERY_BYTES_MAX,
} from './limits.ts';

const service = completeService({ name: 'product', namespace: 'shop' });
const answer = (addresses: string[], alias?: string): LocalAnswer => ({
  service,
  addresses,
  alias,
});
const query = (type: number = TYPE.A, edns?: Edns) =>
  encodeMessage({ ...queryFor(99, 'PrOduct.shop', type), checkingDisabled: true, edns }, 512);
const read = (bytes: Uint8Array) => decodeMessage(bytes) as DnsMessage;
const owner = (name: string, type: number) => ({ name, type, class: CLASS_IN, ttlSeconds: 30 });

describe('encodeAnswer', () => {
  test('is authoritative, recursion available, id, case, RD and CD as asked', () => {
    expect(read(encodeAnswer(query(), answer(['198.19.0.1', '198.19.0.2']), 'udp'))).toEqual({
      id: 99,
      response: true,
      opcode: 0,
      authoritative: true,
      truncated: false,
      recursionDesired: true,
      recursionAvailable: true,
      checkingDisabled: true,
      rcode: RCODE.noError,
      questions: [{ name: 'PrOduct.shop', type: TYPE.A, class: CLASS_IN }],
      answers: ['198.19.0.1', '198.19.0.2'].map((address) => ({
        ...owner('PrOduct.shop', TYPE.A),
        value: { kind: 'address', address },
      })),
      authorities: [],
      additionals: [],
      edns: undefined,
    });
  });

  test('an alias is a CNAME first, and owns the addresses', () => {
    const { answers } = read(
      encodeAnswer(query(TYPE.AAAA), answer(['2001:2::1'], 'x.example'), 'udp'),
    );
    expect(answers).toEqual([
      { ...owner('PrOduct.shop', TYPE.CNAME), value: { kind: 'name', name: 'x.example' } },
      { ...owner('x.example', TYPE.AAAA), value: { kind: 'address', address: '2001:2::1' } },
    ]);
  });

  test('nothing is NODATA: NOERROR, authoritative, no records but how long that may be kept', () => {
    const empty = read(encodeAnswer(query(), answer([]), 'udp'));
    expect(empty).toMatchObject({ rcode: 0, authoritative: true, answers: [] });
    const authority = negativeAuthority('PrOduct.shop', LOCAL_NEGATIVE_TTL_SECONDS);
    expect(empty.authorities).toEqual([authority]);
    expect(empty.truncated).toBe(false);
  });

  test('what could not be answered says nothing of the kind', () => {
    expect(read(encodeError(query(), RCODE.serverFailure)).authorities).toEqual([]);
  });

  test.skipIf(noDig)('dig reads how long it may keep that there is nothing', async () => {
    const server = await Bun.udpSocket({
      hostname: '127.0.0.1',
      socket: {
        data: (socket, bytes, port, address) =>
          void socket.send(encodeAnswer(bytes, answer([]), 'udp'), port, address),
      },
    });
    for (const extra of ['+noedns', '+bufsize=1232']) {
      const name = 'product.shop.svc.cluster.local';
      const stdout = await digAuthority(server.port, extra, name, 'AAAA');
      expect(stdout).toContain('status: NOERROR');
      expect(stdout).toMatch(
        /^product\.shop\.svc\.cluster\.local\.\s+5\s+IN\s+SOA\s.* 1 7200 1800 86400 5$/m,
      );
    }
    server.close();
  });

  const many = answer(Array.from({ length: 200 }, (_, index) => `198.18.7.${index}`));
  const sizes: [edns: number | undefined, bytesMax: number][] = [
    [undefined, 512],
    [100, 512],
    [1232, 1232],
    [65535, 65535],
  ];
  for (const [payloadBytes, bytesMax] of sizes) {
    test(`over UDP with EDNS ${payloadBytes ?? 'absent'} it fits ${bytesMax} bytes`, () => {
      const edns =
        payloadBytes === undefined ? undefined : { version: 0, payloadBytes, dnssecOk: true };
      const bytes = encodeAnswer(query(TYPE.A, edns), many, 'udp');
      expect(bytes.length).toBeLessThanOrEqual(bytesMax);
      const message = read(bytes);
      expect(message.truncated).toBe(bytesMax < 4096);
      expect(message.answers.length).toBe(
        bytesMax < 4096 ? Math.floor((bytesMax - 30 - (edns ? 11 : 0)) / 16) : 200,
      );
      expect(message.edns).toEqual(
        edns && { ...edns, payloadBytes: Math.max(512, edns.payloadBytes) },
      );
    });
  }

  test('it fits one datagram, whatever the client says that it can take', () => {
    const huge = answer(new Array(5000).fill('198.18.7.1'));
    const edns = { version: 0, payloadBytes: 65535, dnssecOk: false };
    const bytes = encodeAnswer(query(TYPE.A, edns), huge, 'udp');
    expect(bytes.length).toBeLessThanOrEqual(UDP_MESSAGE_BYTES_MAX);
    expect(read(bytes).truncated).toBe(true);
  });

  test('over TCP all of it fits', () => {
    const message = read(encodeAnswer(query(), many, 'tcp'));
    expect([message.truncated, message.answers.length]).toEqual([false, 200]);
  });

  test('an EDNS version that nobody knows is BADVERS', () => {
    const edns = { version: 1, payloadBytes: 1232, dnssecOk: false };
    const message = read(encodeAnswer(query(TYPE.A, edns), answer(['198.19.0.1']), 'udp'));
    expect(message).toMatchObject({ rcode: RCODE.badVersion, answers: [], edns: { version: 0 } });
  });

  test('what follows the question and cannot be read is FORMERR', () => {
    const bytes = Uint8Array.from([...query(), 1]);
    expect(read(encodeAnswer(bytes, answer(['198.19.0.1']), 'udp')).rcode).toBe(RCODE.formatError);
  });
});

describe('what no resolver asks', () => {
  const counted = (bytes: Uint8Array, at: number, count: number) => bytes.with(at, count);
  const additional = [0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0];
  const more = (count: number) =>
    counted(Uint8Array.from([...query(), ...new Array(count).fill(additional).flat()]), 11, count);
  const rows: [title: string, bytes: Uint8Array, rcode: number][] = [
    [
      'an answer in it',
      counted(Uint8Array.from([...query(), ...additional]), 7, 1),
      RCODE.formatError,
    ],
    [
      'an authority in it',
      counted(Uint8Array.from([...query(), ...additional]), 9, 1),
      RCODE.formatError,
    ],
    [`${READ_ADDITIONALS_MAX} additionals`, more(READ_ADDITIONALS_MAX), RCODE.noError],
    [`${READ_ADDITIONALS_MAX + 1} additionals`, more(READ_ADDITIONALS_MAX + 1), RCODE.formatError],
    [
      'a size beyond all use',
      Uint8Array.from([...more(1), ...new Array(READ_QUERY_BYTES_MAX)]),
      RCODE.formatError,
    ],
  ];
  for (const [title, bytes, rcode] of rows) {
    test(`${title}: ${rcode}, without a look at the rest`, () => {
      expect(read(encodeAnswer(bytes, answer(['198.19.0.1']), 'udp')).rcode).toBe(rcode);
      expect(read(encodeError(bytes, RCODE.serverFailure)).rcode).toBe(RCODE.serverFailure);
    });
  }
});

test('encodeError repeats question and EDNS, is not authoritative, and never throws', () => {
  const edns = { version: 0, payloadBytes: 4096, dnssecOk: true };
  const message = read(encodeError(query(TYPE.SRV, edns), RCODE.serverFailure));
  expect(message).toMatchObject({ id: 99, rcode: RCODE.serverFailure, authoritative: false, edns });
  expect(message.questions).toEqual([{ name: 'PrOduct.shop', type: TYPE.SRV, class: CLASS_IN }]);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 60 }), (bytes) => {
      expect(encodeError(bytes, 2).length).toBeGreaterThanOrEqual(12);
      expect(encodeAnswer(bytes, answer([]), 'udp').length).toBeGreaterThanOrEqual(12);
    }),
  );
});
