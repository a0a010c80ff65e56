/**
 * Looks names up with the system's name servers (node:dns, c-ares): both families, with their times to live; what DNS does not
 * know may still be in the hosts file. Bounded in time and number.
 */
import { type RecordWithTtl, Resolver } from 'node:dns';
import { existsSync, readFileSync } from 'node:fs';
import { messageOf } from '#base/errors.ts';
import { HOSTS_FILE_TTL_MS, LOOKUP_TIMEOUT_MS, LOOKUP_TRIES, LOOKUPS_MAX } from './limits.ts';

export interface Answer {
  readonly addresses: readonly string[];
  readonly ttlMs: number;
  readonly failure: string;
}

export interface SystemNamesOptions {
  /** `address:port`; undefined = as resolv.conf says. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
}

type Done = (answer: Answer) => void;

/** No such name, or none of the type: everything else is the server's trouble. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

export class SystemNames {
  readonly #resolver: Resolver;
  readonly #waiting: (() => void)[] = [];
  readonly #hostsFile: string;
  #running = 0;

  constructor({ servers, hostsFile = '/etc/hosts' }: SystemNamesOptions = {}) {
    this.#hostsFile = hostsFile;
    this.#resolver = new Resolver({ timeout: LOOKUP_TIMEOUT_MS, tries: LOOKUP_TRIES });
    if (servers !== undefined) this.#resolver.setServers(servers);
  }

  lookup(name: string, done: Done): void {
    const start = () => {
      this.#running += 1;
      this.#ask(name, (answer) => {
        this.#running -= 1;
        this.#waiting.shift()?.();
        done(answer);
      });
    };
    if (this.#running < LOOKUPS_MAX) start();
    else this.#waiting.push(start);
  }

  #ask(name: string, done: Done): void {
    const found: RecordWithTtl[][] = [[], []];
    const failures: string[] = [];
    let left = 2;
    const settle = (family: 0 | 1) => (error: Error | null, records: RecordWithTtl[]) => {
      if (error === null) found[family] = records;
      else failures.push(codeOf(error));
      left -= 1;
      if (left > 0) return;
      const records4and6 = found.flat();
      if (records4and6.length > 0) done(good(records4and6));
      else if (failures.every((code) => ABSENT.has(code))) done(fromHosts(name, this.#hostsFile));
      else done(bad(`the name server failed (${failures.find((code) => !ABSENT.has(code))})`));
    };
    this.#resolver.resolve4(name, { ttl: true }, settle(0));
    this.#resolver.resolve6(name, { ttl: true }, settle(1));
  }
}

function good(records: readonly RecordWithTtl[]): Answer {
  return {
    addresses: [...new Set(records.map(({ address }) => address))],
    ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1000,
    failure: '',
  };
}

function bad(failure: string): Answer {
  return { addresses: [], ttlMs: 0, failure };
}

/** hosts(5): an address, then its names. Read anew: it is rarely asked, and a mount may change it. */
function fromHosts(name: string, path: string): Answer {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const addresses = lines.flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return names.some((each) => each.toLowerCase() === name.toLowerCase()) ? [address] : [];
  });
  if (addresses.length === 0) return bad('no such name');
  return { addresses: [...new Set(addresses)], ttlMs: HOSTS_FILE_TTL_MS, failure: '' };
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : messageOf(error);
}
