/**
 * An epoll(7) instance of our own inside Bun's event loop, one per thread, for plain sockets: Bun makes a buffer for each chunk and
 * several system calls for each socket that they do not need (docs/decisions/010).
 *
 * Bun watches sockets only, and reads what it watches. So it is given a descriptor of the instance as if it was a socket; then
 * a real socket, which has a byte ready, takes its number (dup3). The kernel goes on watching the instance, which our other
 * descriptor keeps open: epoll(7), "Will closing a file descriptor cause it to be removed". When one of our sockets has
 * events Bun reads that byte and tells us.
 *
 *   sockets ─▶ instance ─readable─▶ Bun's epoll ─▶ Bun reads the byte ─▶ turn: the next byte, epoll_wait, `ready` of each
 */
import { MeshError } from '#base/errors.ts';
import { NET_ERRORS } from '../errors.ts';
import { EPOLL_EVENTS_MAX } from '../limits.ts';
import * as abi from '../netns/constants.ts';
import { errno, libc } from '../netns/libc.ts';
import { Pinned } from '../netns/pinned.ts';

/** Who has a descriptor that is watched. */
export interface Watched {
  /** Of `nextSerial`: events that were for the last owner of the descriptor's number are nobody's. */
  readonly serial: number;
  /** EPOLL* flags. */
  ready(events: number): void;
}

/** What sockets need of the loop. */
export interface Watcher {
  nextSerial(): number;
  /** Returns 0, or the errno. Whatever it returns, `remove` has to follow. */
  add(fd: number, flags: number, watched: Watched): number;
  /** Tells once more of what is ready, in the next turn. */
  again(fd: number, flags: number, watched: Watched): void;
  /** The descriptor is about to be closed, which is all that the kernel needs to know. */
  remove(fd: number): void;
}

/** Bun's view of the instance. */
interface Carrier {
  ref(): void;
  unref(): void;
}

/** struct epoll_event: flags and eight bytes of ours, packed on x86-64 alone. */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4;
const FD_WORD = EVENT_WORDS - 2;
const SERIAL_WORD = EVENT_WORDS - 1;

let loop: EpollLoop | undefined;

/** This thread's. */
export function epollLoop(): Watcher {
  loop ??= new EpollLoop();
  return loop;
}

class EpollLoop implements Watcher {
  readonly #fd: number;
  /** The other end of what Bun reads. */
  readonly #wakeFd: number;
  /** By descriptor. */
  readonly #watched: (Watched | undefined)[] = [];
  readonly #events = new Pinned(EPOLL_EVENTS_MAX * EVENT_WORDS * 4);
  readonly #event = new Pinned(EVENT_WORDS * 4);
  readonly #byte = new Pinned(4);
  /** With sockets the process lives on for them, without it may end. */
  #sockets = 0;
  #carrier: Carrier | undefined = undefined;
  #serial = 0;

  constructor() {
    const { epoll_create1, socketpair, fcntl } = libc();
    const pair = new Pinned(8);
    const type = abi.SOCK_STREAM | abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC;
    this.#fd = opened(epoll_create1(abi.EPOLL_CLOEXEC));
    opened(socketpair(abi.AF_UNIX, type, 0, pair.address));
    const shown = opened(fcntl(this.#fd, abi.F_DUPFD_CLOEXEC, 0));
    const [read, written] = pair.words;
    this.#wakeFd = written;
    // Its `open` comes before Bun waits for events: before it reads.
    void Bun.connect({
      fd: shown,
      socket: {
        open: (carrier: Carrier) => this.#adopted(carrier, { shown, read }),
        data: () => this.#turn(),
        error: (_: Carrier, error: unknown) => crash(error),
        close: (_: Carrier, error: unknown) => crash(error ?? new Error('Bun left our epoll')),
      },
    } as unknown as Bun.TCPSocketConnectOptions<undefined>);
  }

  nextSerial(): number {
    this.#serial = (this.#serial + 1) | 0;
    return this.#serial;
  }

  add(fd: number, flags: number, watched: Watched): number {
    this.#watched[fd] = watched;
    this.#sockets += 1;
    if (this.#sockets === 1) this.#carrier?.ref();
    return this.#control(abi.EPOLL_CTL_ADD, { fd, flags, watched }) === 0 ? 0 : errno();
  }

  again(fd: number, flags: number, watched: Watched): void {
    this.#control(abi.EPOLL_CTL_MOD, { fd, flags, watched });
  }

  remove(fd: number): void {
    this.#watched[fd] = undefined;
    this.#sockets -= 1;
    if (this.#sockets === 0) this.#carrier?.unref();
  }

  #adopted(carrier: Carrier, { shown, read }: { shown: number; read: number }): void {
    this.#carrier = carrier;
    if (this.#sockets === 0) carrier.unref();
    opened(libc().dup3(read, shown, abi.O_CLOEXEC));
    libc().close(read);
    this.#wake();
  }

  #control(
    operation: number,
    { fd, flags, watched }: { fd: number; flags: number; watched: Watched },
  ): number {
    const { words, address } = this.#event;
    words[0] = flags;
    words[FD_WORD] = fd;
    words[SERIAL_WORD] = watched.serial;
    return libc().epoll_ctl(this.#fd, operation, fd, address);
  }

  #turn(): void {
    this.#wake();
    const { words, address } = this.#events;
    const count = libc().epoll_wait(this.#fd, address, EPOLL_EVENTS_MAX, 0);
    for (let at = 0; at < count * EVENT_WORDS; at += EVENT_WORDS) {
      const watched = this.#watched[words[at + FD_WORD]];
      if (watched?.serial === words[at + SERIAL_WORD]) watched.ready(words[at]);
    }
  }

  #wake(): void {
    libc().send(this.#wakeFd, this.#byte.address, 1, abi.MSG_NOSIGNAL);
  }
}

function opened(result: number): number {
  if (result >= 0) return result;
  const code = errno();
  const why = abi.ERRNO_NAMES[code] ?? `errno ${code}`;
  throw new MeshError('NET_SOCKET', `cannot watch sockets: ${why}`, {
    side: 'self',
    hint: NET_ERRORS.NET_SOCKET,
  });
}

/** A handler's exception is a bug: it must end the process, whatever Bun would do with it. */
function crash(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
