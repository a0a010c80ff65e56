/**
 * Appends log text to a file, beside the path: one write at a time, by the system's threads. Rotation needs no word to us: a file that was
 * renamed or deleted is opened anew within a second (or at once, on SIGUSR1), one that was cut is appended to. A disk that is full
 * is tried again; meanwhile lines wait in the writer, which bounds and counts them.
 */
import { close, constants, fstat, open, stat, write } from 'node:fs';
import type { Clock, Timer } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import { LOG_FILE_CHECK_MS, LOG_FILE_RETRY_MS } from '../limits.ts';
import type { LogOutput } from './log-writer.ts';

/** Appending, so that a file that somebody cuts is not filled with zeros; not waiting for a reader of a pipe. */
const FLAGS =
  constants.O_WRONLY |
  constants.O_APPEND |
  constants.O_CREAT |
  constants.O_NONBLOCK |
  constants.O_NOCTTY;
const MODE = 0o640;

export interface FileEvents {
  /** It cannot be written since now, or can again (undefined). */
  onTrouble(reason: string | undefined): void;
}

export class FileOutput implements LogOutput {
  readonly #clock: Clock;
  readonly #path: string;
  readonly #events: FileEvents;
  #fd: number | undefined = undefined;
  #identity = '';
  /** What is being written; undefined: nothing is. */
  #rest: Uint8Array | undefined = undefined;
  #onDrain: (() => void) | undefined = undefined;
  #isStale = false;
  #isTroubled = false;
  #isClosed = false;
  readonly #check: Timer;

  constructor(clock: Clock, path: string, events: FileEvents) {
    this.#clock = clock;
    this.#path = path;
    this.#events = events;
    this.#check = clock.every(LOG_FILE_CHECK_MS, () => this.#look());
  }

  /** Always full until the lines are written: one write at a time. */
  write(lines: Uint8Array): boolean {
    this.#rest = lines;
    this.#continue();
    return false;
  }

  onDrain(callback: () => void): void {
    // The text may be written already.
    if (this.#rest === undefined) callback();
    else this.#onDrain = callback;
  }

  /** The next write goes to what then stands under the path. */
  reopen(): void {
    this.#isStale = true;
    if (this.#rest === undefined) this.#closeFile();
  }

  close(): void {
    this.#isClosed = true;
    this.#check.cancel();
    if (this.#rest === undefined) this.#closeFile();
  }

  #continue(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    if (this.#isStale) this.#closeFile();
    const fd = this.#fd;
    if (fd === undefined) {
      this.#open();
      return;
    }
    write(fd, rest, 0, rest.length, null, (error, written) => {
      if (error !== null) {
        this.#failed(error);
        return;
      }
      if (written < rest.length) {
        this.#rest = rest.subarray(written);
        this.#continue();
        return;
      }
      this.#trouble(undefined);
      this.#rest = undefined;
      if (this.#isClosed) this.#closeFile();
      const drained = this.#onDrain;
      this.#onDrain = undefined;
      drained?.();
    });
  }

  #open(): void {
    open(this.#path, FLAGS, MODE, (error, fd) => {
      if (error !== null) {
        this.#failed(error);
        return;
      }
      fstat(fd, (failed, found) => {
        this.#identity = failed === null ? `${found.dev} ${found.ino}` : '';
        this.#fd = fd;
        this.#continue();
      });
    });
  }

  /** What could not be written is tried again. */
  #failed(error: NodeJS.ErrnoException): void {
    this.#trouble(messageOf(error));
    // The file may have to be opened anew: its file system went away.
    if (error.code !== 'EAGAIN' && error.code !== 'ENOSPC') this.#closeFile();
    if (!this.#isClosed) this.#clock.after(LOG_FILE_RETRY_MS, () => this.#continue());
  }

  #trouble(reason: string | undefined): void {
    const isTroubled = reason !== undefined;
    if (isTroubled === this.#isTroubled) return;
    this.#isTroubled = isTroubled;
    this.#events.onTrouble(reason);
  }

  /** Whether the path still leads to the file that is open. */
  #look(): void {
    if (this.#fd === undefined) return;
    stat(this.#path, (error, found) => {
      const identity = error === null ? `${found.dev} ${found.ino}` : '';
      if (identity !== this.#identity) this.reopen();
    });
  }

  #closeFile(): void {
    const fd = this.#fd;
    this.#isStale = false;
    this.#fd = undefined;
    if (fd !== undefined) close(fd, () => undefined);
  }
}
