/**
 * Network namespaces. `within` is synchronous on purpose: the thread is in the other namespace only while one
 * socket or file is opened, so no thread that the runtime spawns can be born there.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { assert } from '#base/assert.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { NET_ERRORS } from '../errors.ts';
import type { NetworkNamespace } from '../network.ts';
import { CLONE_NEWNET, ERRNO_NAMES } from './constants.ts';
import { errno, libc } from './libc.ts';

/** `path` is /run/netns/NAME or /proc/PID/ns/net. */
export function openNamespace(path: string): NetworkNamespace {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw namespaceError(`cannot open network namespace ${path}: ${messageOf(cause)}`, cause);
  }
  return adoptNamespace(fd);
}

/** Owns the descriptor from now on. */
export function adoptNamespace(fd: number): NetworkNamespace {
  let open = true;
  return {
    fd,
    inode: fstatSync(fd).ino,
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

let home: NetworkNamespace | undefined;

/** The namespace this thread was started in. */
function homeNamespace(): NetworkNamespace {
  home ??= openNamespace('/proc/thread-self/ns/net');
  return home;
}

export function isOwnNamespace(namespace: NetworkNamespace): boolean {
  return namespace.inode === homeNamespace().inode;
}

/** Runs `work` with this thread in `namespace`. `work` must not await or spawn. */
export function within<T>(namespace: NetworkNamespace | undefined, work: () => T): T {
  if (namespace === undefined) return work();
  const back = homeNamespace();
  if (namespace.inode === back.inode) return work();
  if (libc().setns(namespace.fd, CLONE_NEWNET) !== 0) {
    const code = errno();
    throw namespaceError(`cannot enter network namespace: ${ERRNO_NAMES[code] ?? code}`, undefined);
  }
  try {
    return work();
  } finally {
    // Staying in a pod's namespace would send everything else of this process through that pod.
    assert(libc().setns(back.fd, CLONE_NEWNET) === 0, 'cannot return to the own network namespace');
  }
}

function namespaceError(message: string, cause: unknown): MeshError {
  return new MeshError('NET_NAMESPACE', message, {
    side: 'self',
    hint: NET_ERRORS.NET_NAMESPACE,
    cause,
  });
}
