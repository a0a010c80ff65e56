/**
 * Conversations with the kernel over netlink(7), in any network namespace. A request is worked off within the
 * system call that sends it and its answers are there when that returns, so all of this is synchronous.
 */
import { MeshError } from '#base/errors.ts';
import { NET_ERRORS } from '../errors.ts';
import { NETLINK_ANSWER_BYTES_MAX, NETLINK_DUMP_TRIES } from '../limits.ts';
import type { NetworkNamespace } from '../network.ts';
import * as abi from './constants.ts';
import { errno, libc, ptr } from './libc.ts';
import { within } from './namespace.ts';
import {
  decodeMessages,
  encodeRequests,
  host32,
  type NetlinkMessage,
  type NetlinkRequest,
} from './netlink-codec.ts';

export interface Answers {
  messages: NetlinkMessage[];
  /** By sequence number; 0 for what was asked to be acknowledged and was done. */
  outcomes: Map<number, number>;
}

export interface NetlinkSocket {
  /** Sends all of `bytes` at once and collects everything that comes back. */
  exchange(bytes: Uint8Array): Answers;
  /** Everything the kernel has of one kind, as one consistent view; empty when the kernel has no such kind. */
  dump(request: Omit<NetlinkRequest, 'flags' | 'sequence'>): NetlinkMessage[];
  /** Whether the kernel has announced anything in the groups that were joined, since it was asked last. */
  changed(): boolean;
  /**
   * After a transaction of nf_tables this waits for the kernel to tidy up (nf_tables_api.c nft_rcv_nl_event), some
   * 10 ms; a while later it is instant.
   */
  close(): void;
}

const SOCKET_NAME_BYTES = 12;
const buffer = new Uint8Array(NETLINK_ANSWER_BYTES_MAX);

/** A socket that joins groups hears of changes; it is no good for asking. */
export function openNetlink(
  namespace: NetworkNamespace | undefined,
  protocol: number,
  groups: readonly number[] = [],
): NetlinkSocket {
  const type = abi.SOCK_RAW | abi.SOCK_CLOEXEC;
  const fd = within(namespace, () => libc().socket(abi.AF_NETLINK, type, protocol));
  if (fd < 0) throw failed('open a netlink socket', errno());
  if (groups.length > 0) join(fd, groups);
  let open = true;
  return {
    changed: () => drain(fd),
    exchange: (bytes) => exchange(fd, bytes),
    dump: (request) => dump(fd, request),
    close() {
      if (open) libc().close(fd);
      open = false;
    },
  };
}

export function withNetlink<T>(
  namespace: NetworkNamespace | undefined,
  protocol: number,
  work: (socket: NetlinkSocket) => T,
): T {
  const socket = openNetlink(namespace, protocol);
  try {
    return work(socket);
  } finally {
    socket.close();
  }
}

function join(fd: number, groups: readonly number[]): void {
  const { bind, setsockopt } = libc();
  // struct sockaddr_nl, all zero: announcements come only to sockets that the kernel has given an address.
  const name = new Uint8Array(SOCKET_NAME_BYTES);
  name[0] = abi.AF_NETLINK;
  const joined =
    bind(fd, ptr(name), name.length) === 0 &&
    groups.every((group) => {
      const { SOL_NETLINK, NETLINK_ADD_MEMBERSHIP } = abi;
      return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, ptr(host32(group)), 4) === 0;
    });
  if (joined) return;
  const code = errno();
  libc().close(fd);
  throw failed('hear of changes in the kernel', code);
}

function drain(fd: number): boolean {
  for (let heard = false; ; heard = true) {
    if (libc().recv(fd, ptr(buffer), buffer.length, abi.MSG_DONTWAIT) >= 0) continue;
    const code = errno();
    if (code === abi.EAGAIN) return heard;
    // More was announced than there was room for: that is news, too.
    if (code !== abi.ENOBUFS) throw failed('hear from the kernel', code);
  }
}

function exchange(fd: number, bytes: Uint8Array): Answers {
  if (Number(libc().send(fd, ptr(bytes), bytes.length, 0)) < 0) {
    throw failed('send to the kernel', errno());
  }
  const answers: Answers = { messages: [], outcomes: new Map() };
  for (;;) {
    const length = libc().recv(fd, ptr(buffer), buffer.length, abi.MSG_DONTWAIT);
    if (length < 0) {
      const code = errno();
      if (code === abi.EAGAIN) return answers;
      throw failed('hear from the kernel', code);
    }
    for (const message of decodeMessages(buffer.slice(0, length))) note(answers, message);
  }
}

function note(answers: Answers, message: NetlinkMessage): void {
  const { type, sequence, body } = message;
  if (type === abi.NLMSG_ERROR) answers.outcomes.set(sequence, codeOf(body));
  else if (type === abi.NLMSG_DONE) answers.outcomes.set(sequence, codeOf(body));
  else answers.messages.push(message);
}

/** Negative errno in both kinds; as a positive number. */
function codeOf(body: Uint8Array): number {
  return body.length < 4 ? 0 : -new DataView(body.buffer, body.byteOffset).getInt32(0, true);
}

function dump(fd: number, request: Omit<NetlinkRequest, 'flags' | 'sequence'>): NetlinkMessage[] {
  const flags = abi.NLM_F_REQUEST | abi.NLM_F_DUMP;
  for (let attempt = 0; attempt < NETLINK_DUMP_TRIES; attempt++) {
    const sequence = attempt + 1;
    const { messages, outcomes } = exchange(fd, encodeRequests([{ ...request, flags, sequence }]));
    const code = outcomes.get(sequence) ?? 0;
    if (code === abi.ENOENT) return [];
    if (code !== 0 && code !== abi.EINTR) throw failed('list from the kernel', code);
    // Changed while it was listed: neither the state before nor the one after.
    const torn = code === abi.EINTR || messages.some((each) => each.flags & abi.NLM_F_DUMP_INTR);
    if (!torn) return messages;
  }
  throw failed('list from the kernel', abi.EINTR);
}

function failed(what: string, code: number): MeshError {
  const name = abi.ERRNO_NAMES[code] ?? `errno ${code}`;
  return new MeshError('NET_NETLINK', `cannot ${what}: ${name}`, {
    side: 'self',
    hint: NET_ERRORS.NET_NETLINK,
  });
}
