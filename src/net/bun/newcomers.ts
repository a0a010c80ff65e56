/** Sheds accepted connections that would take the last open files, and says so now and then. */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { NET_ERRORS } from '../errors.ts';
import { OPEN_FILES_LOG_PERIOD_MS } from '../limits.ts';
import { leavesRoomToAccept, openFilesMax } from '../netns/open-files.ts';

export class Newcomers {
  readonly #clock: Clock;
  readonly #log: Logger;
  #refused = 0;
  #nextLog = Number.NEGATIVE_INFINITY;

  constructor(deps: { clock: Clock; log: Logger }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** False: the new connection has to go at once. */
  admit(socket: { readonly fd: number; readonly remoteAddress: string }): boolean {
    if (leavesRoomToAccept(socket.fd)) return true;
    this.#refused += 1;
    const now = this.#clock.now();
    if (now < this.#nextLog) return false;
    this.#nextLog = now + OPEN_FILES_LOG_PERIOD_MS;
    this.#log.warn('open files run short, new connections are refused', {
      openFilesMax: openFilesMax(),
      refused: this.#refused,
      lastFrom: socket.remoteAddress,
      hint: NET_ERRORS.NET_SOCKET,
    });
    return false;
  }
}
