import { expect, test } from 'bun:test';
import { toCsv } from './export.tsx';

test('toCsv quotes separators and quotes, and keeps spreadsheets from running what a stranger named', () => {
  const text = toCsv(
    ['name', 'rate'],
    [
      ['a,b', 1.5],
      ['say "x"', undefined],
      ['=HYPERLINK("x")', -2],
    ],
  );
  expect(text).toBe('name,rate\r\n"a,b",1.5\r\n"say ""x""",\r\n"\'=HYPERLINK(""x"")",-2\r\n');
});
