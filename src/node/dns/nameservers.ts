/**
 * The name servers of this process's own resolv.conf(5): asked for pods whose own choice is not known, and for names
 * that the proxy itself resolves. Read again when the file changes; the last good list stays when it cannot be read.
 */
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import { formatIp, parseIp } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { NAMESERVERS_MAX, RESOLV_CONF_CHECK_MS } from './limits.ts';

export interface Nameservers {
  /** In order of preference, never empty. */
  current(): readonly string[];
}

/** resolv.conf(5): without any, the server is on this machine. */
const ON_THIS_MACHINE = ['127.0.0.1'];

export function followResolvConf(
  path: string,
  { clock, log }: { clock: Clock; log: Logger },
): Nameservers {
  let servers: readonly string[] = ON_THIS_MACHINE;
  let version = '';
  let checkedAt = Number.NEGATIVE_INFINITY;
  const check = () => {
    try {
      const { mtimeMs, size, ino } = statSync(path);
      const found = `${ino} ${mtimeMs} ${size}`;
      if (found === version) return;
      servers = nameserversIn(readFileSync(path, 'utf8'));
      version = found;
      log.info('name servers', { file: path, servers: servers.join(' ') });
    } catch (error) {
      log.warn('cannot read name servers', { file: path, error: messageOf(error) });
    }
  };
  return {
    current() {
      if (clock.now() - checkedAt >= RESOLV_CONF_CHECK_MS) {
        checkedAt = clock.now();
        check();
      }
      return servers;
    },
  };
}

/** Lines that are not understood are left out, as the resolvers of C libraries do. */
export function nameserversIn(text: string): readonly string[] {
  const servers: string[] = [];
  for (const line of text.split('\n')) {
    const address = parseIp(/^nameserver[ \t]+([^\s#;]+)/.exec(line)?.[1] ?? '');
    const server = address && formatIp(address);
    if (server !== undefined && servers.length < NAMESERVERS_MAX) servers.push(server);
  }
  return servers.length === 0 ? ON_THIS_MACHINE : servers;
}
