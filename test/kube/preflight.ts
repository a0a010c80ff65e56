/** Can a test cluster run here? Every "no" names what to install. */

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { pathWithSbin } from '#lab/program.ts';
import { missingFor } from '#test/support/lab.ts';

/** Go of the modules' `go` lines; older ones cannot read them. */
const GO_MINOR_MIN = 25;

/** A program or file, and the Debian package that holds it. */
const NEEDED: readonly (readonly [string, string])[] = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['iptables', 'iptables'],
  ['conntrack', 'conntrack'],
  ['nsenter', 'util-linux'],
  ['unshare', 'util-linux'],
  ['flock', 'util-linux'],
  ['kubectl', 'kubernetes-client'],
  ['containerd', 'containerd'],
  ['ctr', 'containerd'],
  ['runc', 'runc'],
  ['/usr/lib/cni/ptp', 'containernetworking-plugins'],
  ['/bin/busybox', 'busybox-static'],
];

export const environment = (): Record<string, string | undefined> => ({
  ...process.env,
  PATH: pathWithSbin(process.env.PATH),
});

/** Undefined when a cluster can run, else one sentence with its remedy. */
export function whyNoCluster(): string | undefined {
  if (process.getuid?.() !== 0) return 'a test cluster needs root';
  const { PATH } = environment();
  const missing = NEEDED.filter(([what]) =>
    what.startsWith('/') ? !existsSync(what) : Bun.which(what, { PATH }) === null,
  );
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, from]) => from))].join(' ');
    const names = missing.map(([what]) => what).join(', ');
    return `a test cluster needs ${names}: apt-get install --no-install-recommends ${packages}`;
  }
  return whyNoGo();
}

/**
 * Why a suite on a test cluster cannot run here, with the programs that it needs besides. In CI that is an error; elsewhere the suite is
 * skipped and says so.
 */
export function missingCluster(programs: readonly string[] = []): string | undefined {
  const why = whyNoCluster();
  if (why === undefined) return missingFor({ programs, root: true });
  if (process.env.CI) throw new Error(`this suite cannot run in CI: ${why}`);
  process.stderr.write(`SKIPPED, ${why}\n`);
  return why;
}

/**
 * Each watcher of files takes an inotify instance, and all users together have few (128 by default): a cluster that gets
 * none fails late and says something else. Seen: 29 for two nodes; some for what pods start.
 */
const INOTIFY_NEEDED = 40;

export function whyTooMany(): string | undefined {
  const max = Number(readFileSync('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
  let used = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    used += watchersOf(pid);
  if (used + INOTIFY_NEEDED <= max) return undefined;
  return `${used} of ${max} inotify instances are in use and a cluster needs ${INOTIFY_NEEDED}: take another down, or sysctl -w fs.inotify.max_user_instances=1024`;
}

function watchersOf(pid: string): number {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).filter((fd) => readlinkSync(`${folder}/${fd}`).includes('inotify'))
      .length;
  } catch (error) {
    // It, or a file of it, is gone meanwhile, or even root may not look.
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as { code?: string }).code ?? '')) return 0;
    throw error;
  }
}

function whyNoGo(): string | undefined {
  const remedy = `install Go 1.${GO_MINOR_MIN} or newer: https://go.dev/doc/install`;
  if (Bun.which('go') === null) return `go, which builds Kubernetes, is missing: ${remedy}`;
  const version = goVersion();
  const minor = Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 0);
  return minor < GO_MINOR_MIN ? `${version} cannot build Kubernetes 1.34: ${remedy}` : undefined;
}

export function goVersion(): string {
  // Outside of any module, else GOTOOLCHAIN could fetch the one that the module names.
  return Bun.spawnSync(['go', 'env', 'GOVERSION'], { cwd: '/' }).stdout.toString().trim();
}
