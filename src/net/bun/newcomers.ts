/** Sheds accepted connections that would take the last open files, and says so now and then. */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { SocketAddress } from '../connection.ts';
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
  admit(fd: number, remote: SocketAddress): boolean {
    if (leavesRoomToAccept(fd)) return true;
    this.#refused += 1;
    const now = this.#clock.now();
    if (now < this.#nextLog) return false;
    this.#nextLog = now + OPEN_FILES_LOG_PERIOD_MS;
    this.#log.warn('open files run short, new connections are refused', {
      openFilesMax: openFilesMax(),
      refused: this.#refused,
      lastFrom: remote.address,
      hint: NET_ERRORS.NET_SOCKET,
    });
    return false;
  }
}
