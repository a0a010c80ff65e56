/** Limits of net/, each with its reason. */

/** As ztunnel in in-pod mode (src/inpod/config.rs): a burst that outruns one turn of the event loop. */
export const LISTEN_BACKLOG = 1024;

/** Open files that accepted connections leave to our own dials, and both to certificates, logs and the control plane. */
export const ACCEPT_RESERVE_FILES = 64;
export const DIAL_RESERVE_FILES = 32;
/** Who waits to be accepted while there is no descriptor or memory is tried again after this: ten calls a second, and a wait that a client hardly notices. */
export const ACCEPT_RETRY_MS = 100;
/** Running short of open files is logged this often. */
export const OPEN_FILES_LOG_PERIOD_MS = 10_000;

/** TCP keepalive as ztunnel sets it (src/config.rs KEEPALIVE_*). */
export const KEEPALIVE_TIME_SECONDS = 180;
export const KEEPALIVE_INTERVAL_SECONDS = 180;
export const KEEPALIVE_PROBES = 9;

/** A peer that connects and never finishes its TLS handshake is dropped after this. */
export const TLS_HANDSHAKE_TIMEOUT_MS = 10_000;

/** An outbox above this pauses its source: enough for one full socket buffer, small for 10,000 slow readers. */
export const OUTBOX_HIGH_BYTES = 256 * 1024;
/** Waiting bytes that come in smaller pieces share buffers of at most this: a piece of its own costs over 100 bytes. */
export const QUEUE_CHUNK_BYTES = 16 * 1024;
/** The source goes on once the outbox is down to this. */
export const OUTBOX_LOW_BYTES = 64 * 1024;
/** What the kernel puts into one answer at most (af_netlink.c: 32 KiB), and room to spare. */
export const NETLINK_ANSWER_BYTES_MAX = 64 * 1024;
/** Senders of lost datagrams that are told so: some 5 ms, and more than a pod has look-ups under way. */
export const ABANDONED_MAX = 256;
/** A list that changes while it is read is read again; one that never rests is an error. */
export const NETLINK_DUMP_TRIES = 5;
/** Certificates of a peer's chain that are looked at; real ones have two or three. */
export const CHAIN_MAX = 10;
/** Messages of ZDS are below this on both sides (ztunnel src/inpod/packet.rs): a longer one is cut, and refused. */
export const PACKET_BYTES_MAX = 1024;
/** Descriptors that one packet may bring: more than one is refused, but must be closed. */
export const PACKET_DESCRIPTORS_MAX = 4;
/** Packet sockets are looked at this often without being signalled: a lost signal must not cost more than this. */
export const PACKET_LOOK_MS = 1_000;

/**
 * What a workload may use of one turn of the loop while others want it too. A read of 512 KiB, the largest, costs about
 * twelve of these: a bulk stream pays for one with twelve turns of the others, who need six for a request.
 */
export const SHARE_TURN_MS = 0.05;
/** A share never owes more than this: one bad turn must not shut a workload out for long. */
export const SHARE_DEBT_MAX_MS = 5;
/** Reading and decrypting, which happen before we can look at the clock: about 2 GB/s. */
export const READ_MS_PER_BYTE = 0.5e-6;
/** An accepted plain connection: decision, a tunnel or a dial, telemetry. */
export const ACCEPT_COST_MS = 0.1;
/** An accepted TLS connection: a signature, a key exchange and the peer's chain. */
export const HANDSHAKE_COST_MS = 0.5;
/** Bun reads a socket again in the same turn when the last read was near its buffer's 512 KiB. */
export const LARGE_READ_BYTES = 64 * 1024;
/** For how long after two workloads were active at once many small events are shared out as well. */
export const CONTENTION_MEMORY_MS = 10_000;
/** What a connection that carries TLS may bring before our end of it is there: one turn of the loop. */
export const CARRIED_EARLY_BYTES_MAX = 64 * 1024;

/** How often it is looked whether memory can be given back. */
export const TRIM_PERIOD_MS = 1_000;
/** CPU of a period in which a full collection (5 to 20 ms) holds nobody up: 10 %. An idle node of 100 pods takes 2 to 3 %. */
export const TRIM_QUIET_CPU_MS = 100;
/** CPU since the last collection that makes another one worth its cost: at most 2 % of what was done. */
export const TRIM_WORK_CPU_MS = 1_000;
/**
 * Code of what runs once (starting, capturing the pods of the node) is 6 to 10 MiB; what is used again is compiled again.
 * First after 30 s, when the pods that the node had are captured, then each time after four times as long.
 */
export const TRIM_CODE_FIRST_PERIODS = 30;
export const TRIM_CODE_GROWTH = 4;
export const TRIM_CODE_PERIODS_MAX = 600;
/** Work that leaves as much code behind as a start does, some thirty captures: then the series begins anew when it is over. */
export const TRIM_BURST_CPU_MS = 1_000;
/** CPU in which enough pages can have come; giving them back and mapping the used ones again takes about a millisecond. */
export const TRIM_PAGES_CPU_MS = 10;

/**
 * A busy proxy uses 20 to 25 MiB of the program file, and has 42 MiB resident when nothing is ever given back. Above this size it gives
 * all back, at most every sixth period: that takes 0.5 ms, and mapping again what it uses as much.
 */
export const TRIM_BUSY_RESIDENT_BYTES = 24 * 1024 * 1024;
export const TRIM_BUSY_PERIODS = 5;

/** First bytes that are looked at: a PROXY header with everything it may carry, and the longest ClientHello. */
export const LOOK_BYTES_MAX = 24 * 1024;
/** tcp(7) TCP_DEFER_ACCEPT: a connection is ours once it has sent something, or after about this; a look nearly always finds bytes. */
export const DEFER_ACCEPT_SECONDS = 1;
/** A second look comes after this, later ones after a growing part of the time gone, for at most the other. */
export const LOOK_AGAIN_MS = 1;
export const LOOK_AGAIN_MAX_MS = 100;

/** Connections of a listener that are accepted in one turn: some 5 ms. */
export const ACCEPTS_IN_A_ROW_MAX = 64;
/** Plain sockets that a turn serves; more are served in the next one, after those of Bun. */
export const EPOLL_EVENTS_MAX = 512;

/** Chunks from here on are given back as soon as they are used; below, that costs more than it saves. */
export const FREED_CHUNK_BYTES_MIN = 64 * 1024;
/** Read by system call at a time, into one buffer for all: half of the CPU's nearest large cache, and one DATA frame. */
export const READ_BYTES = 256 * 1024;
/** Such reads in a row of one socket before the loop goes on: some 2 ms. */
export const READS_IN_A_ROW_MAX = 8;

/** Sockets that are made ahead in the namespace of a pod which gets many connections: entering it for each is a tenth of what a connection costs. */
export const SPARE_SOCKETS_MAX = 15;
/** What a pod used in one period it has ahead; after one without use it has none. */
export const SPARE_SOCKETS_PERIOD_MS = 1_000;
