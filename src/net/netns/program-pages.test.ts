import { expect, test } from 'bun:test';
import { releaseProgramPages, residentFileBytes, unchangedMappings } from './program-pages.ts';

function entry(range: string, permissions: string, inode: number, anonymous: number): string {
  return `${range} ${permissions} 00000000 fe:00 ${inode}    /usr/bin/bun
Size:               4096 kB
Rss:                1024 kB
Anonymous:             ${anonymous} kB
AnonHugePages:         0 kB
VmFlags: rd ex mr mw me
`;
}

test('unchangedMappings: of the file, not writable, private, and nothing in it changed', () => {
  const smaps =
    entry('00200000-00400000', 'r--p', 17, 0) +
    entry('01a40000-01a41000', 'r-xp', 17, 0) +
    entry('02000000-02001000', 'r--p', 17, 8) +
    entry('03000000-03001000', 'rw-p', 17, 0) +
    entry('04000000-04001000', 'r--s', 17, 0) +
    entry('05000000-05001000', 'r-xp', 18, 0);
  expect(unchangedMappings(smaps, 17)).toEqual([
    { start: 0x200000, bytes: 0x200000 },
    { start: 0x1a40000, bytes: 0x1000 },
  ]);
});

test('unchangedMappings: any text gives an answer', () => {
  expect(unchangedMappings('', 17)).toEqual([]);
  expect(unchangedMappings('Anonymous: 0 kB\n00-01 r-xp\n', 17)).toEqual([]);
});

test('releaseProgramPages: the process goes on with fewer pages of its file', () => {
  const before = residentFileBytes();
  releaseProgramPages();
  expect(residentFileBytes()).toBeLessThan(before);
  expect(JSON.parse('{"still":"here"}')).toEqual({ still: 'here' });
});
