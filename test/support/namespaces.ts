/** Network namespaces of a test's own: made, joined, looked at, and gone with the test, or with the next one when it was killed. Needs root. */
import { existsSync, readdirSync } from 'node:fs';
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';

let count = 0;

export class TestNamespace implements Disposable {
  readonly name: string;
  readonly handle: NetworkNamespace;

  constructor(label: string) {
    if (count === 0) sweep();
    count += 1;
    this.name = `tulle-${process.pid}-${count}-${label}`;
    command('ip', 'netns', 'add', this.name);
    this.handle = openNamespace(this.path);
    this.ip('link', 'set', 'lo', 'up');
    // Else an address that the kernel makes for a new device is not usable for a second or two.
    this.run('sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad');
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  ip(...words: string[]): string {
    return command('ip', '-n', this.name, ...words);
  }

  run(...words: string[]): string {
    return command(...this.inside(words));
  }

  nft(script: string): void {
    command(...this.inside(['nft', script]));
  }

  /** The command line that runs `words` in here. */
  inside(words: readonly string[]): string[] {
    return ['nsenter', `--net=${this.path}`, ...words];
  }

  /**
   * Everything that redirection could leave: rules, policy routing of both families, every route except those that
   * the kernel keeps for its addresses, which for IPv6 come when it has time.
   */
  listing(): string {
    const script =
      'nft list ruleset; for f in -4 -6; do ip $f rule; ip $f route show table all; done';
    const lines = this.run('sh', '-c', script).split('\n');
    return lines.filter((line) => !line.includes('proto kernel')).join('\n');
  }

  [Symbol.dispose](): void {
    this.handle.close();
    command('ip', 'netns', 'del', this.name);
  }
}

/** A veth pair with an end in each, up and with these addresses (with prefix length). */
export function join(
  left: { namespace: TestNamespace; device: string; addresses: readonly string[] },
  right: { namespace: TestNamespace; device: string; addresses: readonly string[] },
): void {
  left.namespace.ip(
    ...['link', 'add', left.device, 'type', 'veth', 'peer', 'name', right.device],
    ...['netns', right.namespace.name],
  );
  for (const { namespace, device, addresses } of [left, right]) {
    for (const address of addresses) {
      // Without duplicate address detection an IPv6 address can be used at once.
      const nodad = address.includes(':') ? ['nodad'] : [];
      namespace.ip('address', 'add', address, 'dev', device, ...nodad);
    }
    namespace.ip('link', 'set', device, 'up');
  }
}

/** Takes away what processes left that are no more. Another one may do so at the same time. */
function sweep(): void {
  const names = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const name of names) {
    const owner = /^tulle-(\d+)-\d+-/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`))
      Bun.spawnSync(['ip', 'netns', 'del', name]);
  }
}

function command(...words: string[]): string {
  const done = Bun.spawnSync(words, { stdout: 'pipe', stderr: 'pipe' });
  if (!done.success) throw new Error(`${words.join(' ')}: ${done.stderr}`);
  return done.stdout.toString();
}
