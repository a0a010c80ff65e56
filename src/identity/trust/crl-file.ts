/**
 * Follows a file of revocation lists (`CRL_PATH`; in a cluster the mounted ConfigMap istio-ca-crl). A file that cannot be
 * used leaves the lists of the last good one in force; one that was never there is no fault: most meshes revoke nothing.
 */
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { RevocationList } from '#wire/x509/crl.ts';
import { IDENTITY_ERRORS } from '../errors.ts';
import { CRL_BYTES_MAX, CRL_POLL_MS } from '../limits.ts';
import { readRevocationLists, revocationOf } from './revocation.ts';

export interface Revocations {
  /** Why this chain (DER, leaf first) is revoked, or undefined. */
  judge(chain: readonly Uint8Array[], side: 'downstream' | 'upstream'): MeshError | undefined;
  /** The lists are others now: whoever is connected should be judged again. */
  onChange(callback: () => void): Disposer;
  status(): RevocationStatus;
  stop(): void;
}

export interface RevocationStatus {
  readonly path: string;
  readonly lists: number;
  readonly revoked: number;
  /** Why the file as it is now is not in force. */
  readonly lastError: string | undefined;
}

export interface CrlFileDeps {
  clock: Clock;
  log: Logger;
  /** Each time that a chain is judged revoked. */
  onRevoked?: (side: 'downstream' | 'upstream') => void;
}

export function followCrlFile(path: string, deps: CrlFileDeps): Revocations {
  return new CrlFile(path, deps);
}

class CrlFile implements Revocations {
  readonly #path: string;
  readonly #log: Logger;
  readonly #onRevoked: CrlFileDeps['onRevoked'];
  readonly #timer;
  readonly #callbacks = new Set<() => void>();
  #lists: readonly RevocationList[] = [];
  /** There was a good file. */
  #isRead = false;
  /** What the file looked like when it was last read. */
  #seen = '';
  #failure: string | undefined = undefined;

  constructor(path: string, deps: CrlFileDeps) {
    this.#path = path;
    this.#log = deps.log;
    this.#onRevoked = deps.onRevoked;
    this.#poll();
    this.#timer = deps.clock.every(CRL_POLL_MS, () => this.#poll());
  }

  judge(chain: readonly Uint8Array[], side: 'downstream' | 'upstream'): MeshError | undefined {
    const error = revocationOf(chain, this.#lists, side);
    if (error !== undefined) this.#onRevoked?.(side);
    return error;
  }

  onChange(callback: () => void): Disposer {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  }

  status(): RevocationStatus {
    return {
      path: this.#path,
      lists: this.#lists.length,
      revoked: this.#lists.reduce((sum, list) => sum + list.serials.size, 0),
      lastError: this.#failure,
    };
  }

  stop(): void {
    this.#timer.cancel();
    this.#callbacks.clear();
  }

  /** A ConfigMap is replaced by swapping links, which `stat` follows. */
  #poll(): void {
    let seen: string;
    let isAbsent = false;
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      seen = `${mtimeMs} ${size} ${ino}`;
    } catch (error) {
      seen = messageOf(error);
      isAbsent = (error as { code?: string }).code === 'ENOENT';
    }
    if (seen === this.#seen) return;
    this.#seen = seen;
    if (isAbsent && !this.#isRead) {
      this.#log.info('no revocation lists: the file is not there', { path: this.#path });
      return;
    }
    const lists = readLists(this.#path);
    if (lists instanceof MeshError) {
      this.#failure = lists.message;
      const inForce = this.#lists.length;
      this.#log.error(lists.message, {
        path: this.#path,
        code: lists.code,
        hint: lists.hint,
        inForce,
      });
      return;
    }
    this.#failure = undefined;
    this.#isRead = true;
    this.#lists = lists;
    const { revoked } = this.status();
    this.#log.info('revocation lists read', { path: this.#path, lists: lists.length, revoked });
    for (const callback of this.#callbacks) callback();
  }
}

function readLists(path: string): readonly RevocationList[] | MeshError {
  let why: string;
  try {
    const { size } = statSync(path);
    if (size <= CRL_BYTES_MAX) return readRevocationLists(readFileSync(path));
    why = `it has ${size} bytes, ${CRL_BYTES_MAX} are read at most`;
  } catch (error) {
    why = messageOf(error);
  }
  const hint = IDENTITY_ERRORS.TRUST_CRL_INVALID;
  return new MeshError('TRUST_CRL_INVALID', `revocation lists unreadable: ${why}`, {
    side: 'config',
    hint,
  });
}
