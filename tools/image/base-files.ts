/**
 * The lower layer: what a dynamically linked program of Debian needs and nothing more. The C library comes from this machine's
 * own package, so do the certificates of public authorities; there is no shell and no package manager.
 */
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { DebianPackage } from './sbom.ts';
import { directory, type Entry, file, link } from './tar.ts';

/** As in Google's distroless images. */
export const NONROOT = 65_532;
const CERTIFICATES = '/usr/share/ca-certificates/mozilla';
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

export interface Base {
  readonly entries: Entry[];
  readonly packages: DebianPackage[];
}

/** For a program of this machine's architecture. */
export function baseOf(program: string): Base {
  const libraries = librariesOf(program);
  const packages = packagesOf(libraries.map(({ real }) => real));
  packages.push(...packagesNamed(['ca-certificates']));
  const entries = new Map<string, Entry>();
  for (const { links, real } of libraries) {
    for (const each of links) entries.set(each.path, each);
    entries.set(real, file(real, readFileSync(real), 0o755));
  }
  for (const each of [...accounts(), ...documentsOf(packages)]) entries.set(each.path, each);
  entries.set(BUNDLE, file(BUNDLE, certificates()));
  return { entries: [...entries.values()], packages };
}

function accounts(): Entry[] {
  return [
    file(
      '/etc/passwd',
      `root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:${NONROOT}:${NONROOT}:nonroot:/nonexistent:/sbin/nologin\n`,
    ),
    file('/etc/group', `root:x:0:\nnobody:x:65534:\nnonroot:x:${NONROOT}:\n`),
    // Without it the C library asks DNS before /etc/hosts (nsswitch.conf(5)).
    file('/etc/nsswitch.conf', 'hosts: files dns\n'),
    directory('/tmp', 0o1777),
    directory('/run'),
    link('/var/run', '/run'),
  ];
}

/** What scanners look for: the distribution, the packages; and the licences that go with the files. */
function documentsOf(packages: readonly DebianPackage[]): Entry[] {
  return [
    file('/usr/lib/os-release', readFileSync('/etc/os-release')),
    link('/etc/os-release', '../usr/lib/os-release'),
    ...packages.flatMap(({ name, status }) => [
      file(`/var/lib/dpkg/status.d/${name}`, status),
      file(`/usr/share/doc/${name}/copyright`, readFileSync(`/usr/share/doc/${name}/copyright`)),
    ]),
  ];
}

/** From the package's files: the bundle in /etc may hold certificates that only this machine trusts. */
function certificates(): string {
  return readdirSync(CERTIFICATES)
    .filter((name) => name.endsWith('.crt'))
    .sort()
    .map((name) => `${readFileSync(join(CERTIFICATES, name), 'utf8').trimEnd()}\n`)
    .join('');
}

interface Library {
  real: string;
  links: Entry[];
}

function librariesOf(program: string): Library[] {
  const printed = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...printed.matchAll(/(?:^|\s)(\/\S+) \(0x/g)].map((match) => follow(match[1]));
}

/** `path` with every symbolic link on the way: programs name the loader by a path that leads over some. */
function follow(path: string): Library {
  const links: Entry[] = [];
  let at = '/';
  const words = path.split('/').filter((word) => word !== '');
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const next = join(at, word);
    if (!lstatSync(next).isSymbolicLink()) {
      at = next;
      continue;
    }
    const target = readlinkSync(next);
    links.push(link(next, target));
    words.unshift(...resolve(dirname(next), target).split('/').slice(1));
    at = '/';
  }
  return { real: at, links };
}

function packagesOf(files: readonly string[]): DebianPackage[] {
  // The database has files where the package put them, before /lib became a link.
  const asked = files.flatMap((path) => [path, path.replace(/^\/usr\/lib/, '/lib')]);
  const found = execFileSync(
    'sh',
    ['-c', 'dpkg-query -S "$@" 2>/dev/null || true', '-', ...asked],
    {
      encoding: 'utf8',
    },
  );
  const owners = new Map(
    found
      .trim()
      .split('\n')
      .map((line) => line.split(': '))
      .map(([owner, path]) => [path.replace(/^\/lib/, '/usr/lib'), owner.split(':')[0]]),
  );
  const orphan = files.find((path) => !owners.has(path));
  if (orphan !== undefined) throw new Error(`${orphan} belongs to no Debian package`);
  return packagesNamed([...new Set(owners.values())].sort());
}

function packagesNamed(names: readonly string[]): DebianPackage[] {
  return names.map((name) => {
    const status = execFileSync('dpkg-query', ['-s', name], { encoding: 'utf8' });
    const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(status)?.[1] ?? '';
    return { name, version: field('Version'), architecture: field('Architecture'), status };
  });
}
