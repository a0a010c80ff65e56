import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answer, SystemNames } from './system-names.ts';

/** RFC 1035 answers by hand: A records for `two.test`, none for others, a failure for `bad.test`. */
function respond(query: Buffer): Buffer {
  let end = 12;
  let name = '';
  while (query[end] !== 0) {
    name += `${query.toString('latin1', end + 1, end + 1 + query[end])}.`;
    end += query[end] + 1;
  }
  const question = query.subarray(12, end + 5);
  const isA = question.readUInt16BE(question.length - 4) === 1;
  const found = name === 'two.test.' && isA ? [7, 9] : [];
  const rcode = name === 'bad.test.' ? 2 : 0;
  const head = [query[0], query[1], 0x81, 0x80 | rcode, 0, 1, 0, found.length, 0, 0, 0, 0];
  const records = found.map((ttl, at) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 198, 18, 0, at + 1]),
  );
  return Buffer.concat([Buffer.from(head), question, ...records]);
}

const folder = mkdtempSync(join(tmpdir(), 'tulle-names-'));
let server: Socket;
let names: SystemNames;

beforeAll(async () => {
  server = createSocket('udp4');
  server.on('message', (query, from) => server.send(respond(query), from.port, from.address));
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  const hostsFile = join(folder, 'hosts');
  writeFileSync(hostsFile, '# ours\n198.18.0.9 other here.test # last\n');
  names = new SystemNames({ servers: [`127.0.0.1:${server.address().port}`], hostsFile });
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const lookup = (name: string) => new Promise<Answer>((resolve) => names.lookup(name, resolve));

test('SystemNames gives every address with the shortest time to live', async () => {
  expect(await lookup('two.test')).toEqual({
    addresses: ['198.18.0.1', '198.18.0.2'],
    ttlMs: 7000,
    failure: '',
  });
});

test('SystemNames tells a server that fails from a name that is not there', async () => {
  expect(await lookup('bad.test')).toMatchObject({
    addresses: [],
    failure: 'the name server failed (ESERVFAIL)',
  });
  expect(await lookup('none.test')).toMatchObject({ addresses: [], failure: 'no such name' });
});

test('SystemNames finds what only the hosts file knows', async () => {
  expect((await lookup('Here.test')).addresses).toEqual(['198.18.0.9']);
});

test('SystemNames answers more names than it asks for at a time', async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, () => lookup('two.test')));
  expect(answers.every(({ addresses }) => addresses.length === 2)).toBe(true);
});
