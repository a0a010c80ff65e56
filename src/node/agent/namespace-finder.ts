/**
 * Where the network namespace of a running pod is, by its uid: nobody tells an agent that was not there when the pod was
 * made. Either it has the uid as its name, or one of the pod's processes is in it; which pod a process belongs to
 * says its control group, as istio-cni reads it (cni/pkg/nodeagent/podcgroupns.go).
 */
import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { NAMESPACE_SCAN_PERIOD_MS } from '../limits.ts';

export interface NamespacePlaces {
  /** Namespaces by name, where the name is a uid. */
  readonly netnsDir: string;
  /** Of the node, with the processes of all pods. */
  readonly procDir?: string;
}

/**
 * `…/kubepods/burstable/pod1234-…/…`, and with underscores where systemd names the groups. Static pods have the hash of
 * their file for a uid, which has neither.
 */
const POD_GROUP =
  /[/-]pod([0-9a-f]{32}|[0-9a-f]{8}([-_])[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{12})\b/i;

/** Where runtimes name the namespaces that they make, as the node sees it. */
const NODE_NETNS_DIRS: readonly string[] = ['/run/netns', '/var/run/netns'];
/** linux/magic.h NSFS_MAGIC */
const NSFS_MAGIC = 0x6e736673;

/** From proc(5) `/proc/PID/cgroup`; undefined for processes of no pod. */
export function podUidIn(cgroups: string): string | undefined {
  return POD_GROUP.exec(cgroups)?.[1]?.replaceAll('_', '-').toLowerCase();
}

export class NamespaceFinder {
  readonly #clock: Clock;
  readonly #netnsDir: string;
  readonly #procDir: string;
  /** Of each pod a process in its namespace. */
  #found = new Map<string, string>();
  #scannedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, { netnsDir, procDir = '/proc' }: NamespacePlaces) {
    this.#clock = clock;
    this.#netnsDir = netnsDir;
    this.#procDir = procDir;
  }

  /** A path to open at once: the process that it leads through may end. */
  find(uid: string): string | undefined {
    const named = `${this.#netnsDir}/${uid}`;
    if (existsSync(named)) return named;
    const known = this.#foundFor(uid);
    if (known !== undefined) return known;
    // One walk serves all pods that are asked for at a time, as after a start.
    if (this.#clock.now() - this.#scannedAt < NAMESPACE_SCAN_PERIOD_MS) return undefined;
    this.#scan();
    return this.#foundFor(uid);
  }

  /**
   * Where a path of the node's leads to from here: in a container its folders may be elsewhere, or not at all. Then through
   * the node's first process.
   */
  local(path: string): string {
    const named = NODE_NETNS_DIRS.includes(dirname(path));
    const places = [
      ...(named ? [`${this.#netnsDir}/${basename(path)}`] : []),
      path,
      `${this.#procDir}/1/root${path}`,
    ];
    // A mount that has not come through yet leaves an empty file.
    return places.find(isNamespace) ?? places.find((place) => existsSync(place)) ?? path;
  }

  #scan(): void {
    this.#scannedAt = this.#clock.now();
    this.#found = new Map();
    const own = inodeOf(`${this.#procDir}/self/ns/net`);
    for (const pid of readdirSync(this.#procDir)) {
      if (!/^[0-9]+$/.test(pid)) continue;
      const uid = this.#podOf(pid);
      if (uid === undefined || this.#found.has(uid)) continue;
      const inode = inodeOf(this.#namespaceOf(pid));
      // A process of the pod that is in the node's namespace says nothing about the pod's.
      if (inode !== undefined && inode !== own) this.#found.set(uid, pid);
    }
  }

  /** Not of a process that has ended, nor of one that is another pod's and got its number since. */
  #foundFor(uid: string): string | undefined {
    const pid = this.#found.get(uid);
    if (pid === undefined || this.#podOf(pid) !== uid) return undefined;
    const path = this.#namespaceOf(pid);
    return existsSync(path) ? path : undefined;
  }

  #podOf(pid: string): string | undefined {
    return podUidIn(textOf(`${this.#procDir}/${pid}/cgroup`));
  }

  #namespaceOf(pid: string): string {
    return `${this.#procDir}/${pid}/ns/net`;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process has ended meanwhile.
    return '';
  }
}

function isNamespace(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === NSFS_MAGIC;
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
