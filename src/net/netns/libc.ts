/**
 * The system calls that Bun has no API for. The only file that loads a C library; each call names its man
 * page. All are non-blocking or instant; results follow C: -1 and `errno()` on failure.
 */
import { dlopen, ptr, read } from 'bun:ffi';
import { MeshError, messageOf } from '#base/errors.ts';
import { NET_ERRORS } from '../errors.ts';

function load(name: string) {
  return dlopen(name, {
    setns: { args: ['int', 'int'], returns: 'int' }, // setns(2)
    socket: { args: ['int', 'int', 'int'], returns: 'int' }, // socket(2)
    socketpair: { args: ['int', 'int', 'int', 'ptr'], returns: 'int' }, // socketpair(2)
    bind: { args: ['int', 'ptr', 'uint32_t'], returns: 'int' }, // bind(2)
    listen: { args: ['int', 'int'], returns: 'int' }, // listen(2)
    connect: { args: ['int', 'ptr', 'uint32_t'], returns: 'int' }, // connect(2)
    setsockopt: { args: ['int', 'int', 'int', 'ptr', 'uint32_t'], returns: 'int' }, // setsockopt(2)
    getsockopt: { args: ['int', 'int', 'int', 'ptr', 'ptr'], returns: 'int' }, // getsockopt(2)
    getpeername: { args: ['int', 'ptr', 'ptr'], returns: 'int' }, // getpeername(2)
    getsockname: { args: ['int', 'ptr', 'ptr'], returns: 'int' }, // getsockname(2)
    // What fits no buffer of ours never comes: an int, which needs no BigInt.
    send: { args: ['int', 'ptr', 'uint32_t', 'int'], returns: 'int' }, // send(2)
    recv: { args: ['int', 'ptr', 'uint32_t', 'int'], returns: 'int' }, // recv(2)
    shutdown: { args: ['int', 'int'], returns: 'int' }, // shutdown(2)
    epoll_create1: { args: ['int'], returns: 'int' }, // epoll_create(2)
    epoll_ctl: { args: ['int', 'int', 'int', 'ptr'], returns: 'int' }, // epoll_ctl(2)
    epoll_wait: { args: ['int', 'ptr', 'int', 'int'], returns: 'int' }, // epoll_wait(2)
    dup3: { args: ['int', 'int', 'int'], returns: 'int' }, // dup(2)
    accept4: { args: ['int', 'ptr', 'ptr', 'int'], returns: 'int' }, // accept(2)
    sendmsg: { args: ['int', 'ptr', 'int'], returns: 'int64_t' }, // send(2)
    recvmsg: { args: ['int', 'ptr', 'int'], returns: 'int64_t' }, // recv(2)
    // Variadic in C; an int is passed alike either way on x86-64 and arm64.
    fcntl: { args: ['int', 'int', 'int'], returns: 'int' }, // fcntl(2)
    dup: { args: ['int'], returns: 'int' }, // dup(2)
    close: { args: ['int'], returns: 'int' }, // close(2)
    madvise: { args: ['uint64_t', 'uint64_t', 'int'], returns: 'int' }, // madvise(2)
    __errno_location: { args: [], returns: 'ptr' }, // errno(3)
  });
}

let loaded: ReturnType<typeof load> | undefined;

/** Loaded at first use: programs that open no special socket never touch the library. */
export function libc(): ReturnType<typeof load>['symbols'] {
  if (loaded !== undefined) return loaded.symbols;
  const failures: string[] = [];
  for (const name of ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']) {
    try {
      loaded = load(name);
      return loaded.symbols;
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  throw new MeshError('NET_SOCKET', `no usable C library: ${failures.join('; ')}`, {
    side: 'self',
    hint: NET_ERRORS.NET_SOCKET,
  });
}

/** errno of the call just made; read it before any other call. */
export function errno(): number {
  const location = libc().__errno_location();
  return location === null ? 0 : read.i32(location, 0);
}

export { ptr };
