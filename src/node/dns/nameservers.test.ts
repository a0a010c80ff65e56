import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#base/log.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { RESOLV_CONF_CHECK_MS } from './limits.ts';
import { followResolvConf, nameserversIn } from './nameservers.ts';

describe('nameserversIn', () => {
  const rows: [title: string, text: string, want: string[]][] = [
    ['nothing: this machine', '', ['127.0.0.1']],
    [
      'several in order',
      'nameserver 198.18.0.1\nnameserver 2001:2::1\n',
      ['198.18.0.1', '2001:2::1'],
    ],
    ['no more than three', 'nameserver 198.18.0.1\n'.repeat(5), new Array(3).fill('198.18.0.1')],
    [
      'other lines',
      '# nameserver 198.18.0.9\nsearch a b\noptions ndots:5\nnameserver\t198.18.0.1',
      ['198.18.0.1'],
    ],
    [
      'what follows the address',
      'nameserver 198.18.0.1 # ours\nnameserver 198.18.0.2;x',
      ['198.18.0.1', '198.18.0.2'],
    ],
    ['no address', 'nameserver dns.example.org\nnameserver 198.18.0.1', ['198.18.0.1']],
    ['a zone is not understood', 'nameserver fe80::1%eth0\nnameserver 198.18.0.1', ['198.18.0.1']],
    ['one spelling', 'nameserver 2001:0002:0:0::0001', ['2001:2::1']],
  ];
  for (const [title, text, want] of rows)
    test(title, () => expect(nameserversIn(text)).toEqual(want));
});

test('followResolvConf sees a change after a while, and keeps the last list when the file goes', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-resolv-'));
  const path = join(directory, 'resolv.conf');
  const clock = new FakeClock();
  writeFileSync(path, 'nameserver 198.18.0.1\n');
  const servers = followResolvConf(path, { clock, log: silentLogger });
  expect(servers.current()).toEqual(['198.18.0.1']);
  writeFileSync(path, 'nameserver 198.18.0.22\n');
  expect(servers.current()).toEqual(['198.18.0.1']);
  clock.advance(RESOLV_CONF_CHECK_MS);
  expect(servers.current()).toEqual(['198.18.0.22']);
  rmSync(directory, { recursive: true });
  clock.advance(RESOLV_CONF_CHECK_MS);
  expect(servers.current()).toEqual(['198.18.0.22']);
});

test('followResolvConf without a file asks this machine', () => {
  const servers = followResolvConf('/nonexistent/resolv.conf', {
    clock: new FakeClock(),
    log: silentLogger,
  });
  expect(servers.current()).toEqual(['127.0.0.1']);
});
