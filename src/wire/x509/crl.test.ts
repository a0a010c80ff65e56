import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { createTestCa } from '#test/support/certificates.ts';
import { certificateNames, uriNamesOf } from './certificate.ts';
import * as crl from './crl.ts';
import { bitString, element, oid, sequence, TAG } from './der.ts';
import { REVOKED_MAX } from './limits.ts';
import { decodePem } from './pem.ts';

const TIME = element(0x17, Buffer.from('260101000000Z'));
const ECDSA = sequence(oid('1.2.840.10045.4.3.2'));
const NAME = sequence(element(TAG.set, sequence(oid('2.5.4.10'), element(0x0c, Buffer.from('a')))));
const integer = (...bytes: number[]) => element(TAG.integer, Uint8Array.from(bytes));
const CRITICAL = element(TAG.boolean, Uint8Array.of(0xff));
const extensions = (...each: Uint8Array[]) => element(TAG.context0, sequence(...each));
const extension = (id: string, ...flags: Uint8Array[]) =>
  sequence(oid(id), ...flags, element(TAG.octetString, integer(1)));
const entry = (serial: Uint8Array, ...more: Uint8Array[]) => sequence(serial, TIME, ...more);
const revoked = (...entries: Uint8Array[]) => sequence(...entries);
const list = (...fields: Uint8Array[]) =>
  sequence(sequence(...fields), ECDSA, bitString(Uint8Array.of(1, 2)));
const parsed = (der: Uint8Array) => {
  const found = crl.parseCrl(der);
  return typeof found === 'number' ? found : [...found.serials];
};

describe('parseCrl', () => {
  const rows: { title: string; der: Uint8Array; want: number | string[] }[] = [
    { title: 'a list of version 1 without entries', der: list(ECDSA, NAME, TIME), want: [] },
    {
      title: 'two entries, leading zeros dropped',
      der: list(
        integer(1),
        ECDSA,
        NAME,
        TIME,
        TIME,
        revoked(entry(integer(0, 0xb8, 1)), entry(integer(5))),
      ),
      want: ['b801', '5'],
    },
    {
      title: 'entry and list extensions that change nothing',
      der: list(
        ...[integer(1), ECDSA, NAME, TIME, TIME],
        revoked(entry(integer(7), sequence(extension('2.5.29.21')))),
        extensions(extension('2.5.29.20'), extension('2.5.29.28', CRITICAL)),
      ),
      want: ['7'],
    },
    {
      title: 'entries with an empty extension list',
      der: list(integer(1), ECDSA, NAME, TIME, revoked(entry(integer(7), sequence()))),
      want: ['7'],
    },
    {
      title: 'a delta list (critical 2.5.29.27)',
      der: list(integer(1), ECDSA, NAME, TIME, extensions(extension('2.5.29.27', CRITICAL))),
      want: crl.CRL_UNKNOWN_EXTENSION,
    },
    {
      title: 'an entry of another issuer (critical 2.5.29.29)',
      der: list(
        ...[integer(1), ECDSA, NAME, TIME],
        revoked(entry(integer(7), sequence(extension('2.5.29.29', CRITICAL)))),
      ),
      want: crl.CRL_UNKNOWN_EXTENSION,
    },
    {
      title: 'a signature by SHA-1',
      der: sequence(
        sequence(ECDSA, NAME, TIME),
        sequence(oid('1.2.840.113549.1.1.5')),
        bitString(new Uint8Array(1)),
      ),
      want: crl.CRL_UNKNOWN_SIGNATURE,
    },
    { title: 'no bytes', der: new Uint8Array(), want: crl.CRL_BROKEN },
    { title: 'no date', der: list(integer(1), ECDSA, NAME), want: crl.CRL_BROKEN },
    { title: 'no issuer', der: list(integer(1), ECDSA, TIME), want: crl.CRL_BROKEN },
    {
      title: 'an entry without date',
      der: list(integer(1), ECDSA, NAME, TIME, revoked(sequence(integer(7)))),
      want: crl.CRL_BROKEN,
    },
    {
      title: 'something behind the extensions',
      der: list(ECDSA, NAME, TIME, extensions(), integer(1)),
      want: crl.CRL_BROKEN,
    },
    {
      title: 'bytes behind the list',
      der: Buffer.concat([list(ECDSA, NAME, TIME), Buffer.alloc(1)]),
      want: crl.CRL_BROKEN,
    },
    {
      title: 'no signature',
      der: sequence(sequence(ECDSA, NAME, TIME), ECDSA),
      want: crl.CRL_BROKEN,
    },
  ];
  for (const { title, der, want } of rows) {
    test(title, () => expect(parsed(der)).toEqual(want));
  }

  test('refuses a list above its bound', () => {
    const one = entry(integer(1, 1, 1));
    const entries = Buffer.concat(Array.from({ length: REVOKED_MAX + 1 }, () => one));
    for (let index = 0; index <= REVOKED_MAX; index++)
      entries.writeUIntBE(index, index * one.length + 4, 3);
    const der = list(integer(1), ECDSA, NAME, TIME, element(TAG.sequence, entries));
    expect(parsed(der)).toBe(crl.CRL_TOO_LONG);
  });

  test('any cut of a list is broken, any change gives a verdict', async () => {
    const ca = await createTestCa();
    const [der] = decodePem(
      'X509 CRL',
      await ca.revoke([(await ca.issue('spiffe://a')).certificateChain]),
    );
    expect(parsed(der)).toHaveLength(1);
    for (let end = 0; end < der.length; end++)
      expect(parsed(der.subarray(0, end))).toBe(crl.CRL_BROKEN);
    const change = fc.tuple(fc.nat(der.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = new Uint8Array(der);
        for (const [at, value] of changes) bytes[at] = value;
        const found = parsed(bytes);
        expect(typeof found === 'number' ? found in crl.CRL_REASON : found.length <= 1).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('any bytes give a verdict', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(parsed(bytes)).toBeNumber();
        certificateNames(bytes);
        uriNamesOf(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('certificate fields', () => {
  test('serial, issuer and URIs of a leaf; nothing out of a changed one makes it throw', async () => {
    const uri = 'spiffe://cluster.local/ns/shop/sa/web';
    const [der] = decodePem(
      'CERTIFICATE',
      (await (await createTestCa()).issue(uri)).certificateChain,
    );
    expect(uriNamesOf(der)).toEqual([uri]);
    expect(certificateNames(der)?.serial).toMatch(/^[0-9a-f]{20,}$/);
    for (let end = 0; end < der.length; end++)
      expect(certificateNames(der.subarray(0, end))).toBeUndefined();
    const change = fc.tuple(fc.nat(der.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = new Uint8Array(der);
        for (const [at, value] of changes) bytes[at] = value;
        certificateNames(bytes);
        for (const name of uriNamesOf(bytes)) expect(name.length).toBeLessThan(der.length);
      }),
      { numRuns: 2000 },
    );
  });
});
