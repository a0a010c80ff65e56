import { expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import { hexValue } from './hex.ts';

test('hexValue reads what parseInt reads, and nothing else', () => {
  const random = seededRandom(3);
  for (let index = 0; index < 500; index++) {
    const text = `-${random.hex(8)}-`;
    expect(hexValue(text, 1, 9)).toBe(Number.parseInt(text.slice(1, 9), 16));
  }
  expect(hexValue('ffffffff', 0, 8)).toBe(0xffffffff);
  for (const text of ['0000000A', '0000000g', '0000000/', '0000000:', '0000000`', ' 0000000', '0'])
    expect(hexValue(text, 0, 8)).toBe(-1);
});
