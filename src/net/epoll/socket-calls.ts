/** What a plain connection asks of the kernel, so that its logic can be tried against a kernel that answers anything. */
import * as abi from '../netns/constants.ts';
import { errno, libc, ptr } from '../netns/libc.ts';
import { Pinned } from '../netns/pinned.ts';

/** Results are counts, or an errno with a minus before it. */
export interface SocketCalls {
  /** Bytes that came, now in `into`; 0 at the peer's FIN. */
  receive(fd: number, into: Pinned): number;
  send(fd: number, bytes: Uint8Array): number;
  /** FIN. */
  finish(fd: number): void;
  /** Why the connection failed, once; 0 when it did not. */
  failure(fd: number): number;
  close(fd: number): void;
  /** RST, and close. */
  abort(fd: number): void;
}

const FLAGS = abi.MSG_DONTWAIT | abi.MSG_NOSIGNAL;

const number = new Pinned(4);
const numberLength = new Pinned(4);
/** struct linger: on, for no time (socket(7)). */
const noLinger = new Pinned(8);
noLinger.words[0] = 1;

export const SOCKET_CALLS: SocketCalls = {
  receive(fd, into) {
    const count = libc().recv(fd, into.address, into.bytes.length, abi.MSG_DONTWAIT);
    return count < 0 ? -errno() : count;
  },
  send(fd, bytes) {
    // Which has no address.
    if (bytes.length === 0) return 0;
    const count = libc().send(fd, ptr(bytes), bytes.length, FLAGS);
    return count < 0 ? -errno() : count;
  },
  finish(fd) {
    libc().shutdown(fd, abi.SHUT_WR);
  },
  failure(fd) {
    number.words[0] = 0;
    numberLength.words[0] = 4;
    const { getsockopt } = libc();
    getsockopt(fd, abi.SOL_SOCKET, abi.SO_ERROR, number.address, numberLength.address);
    return number.words[0];
  },
  close(fd) {
    libc().close(fd);
  },
  abort(fd) {
    libc().setsockopt(fd, abi.SOL_SOCKET, abi.SO_LINGER, noLinger.address, noLinger.bytes.length);
    libc().close(fd);
  },
};
