/** What a machine or a node must have, each with its reason. */

/** A table of nftables that goes with the process that made it (NFT_TABLE_F_OWNER) is of 5.12. */
export const KERNEL_MIN = '5.12';
/** net.ipv4.tcp_migrate_req: connections that wait to be accepted go to the successor of a node proxy. */
export const KERNEL_MIGRATES = '5.14';
/** The demo lab: all its processes together have 600 MiB resident. */
export const LAB_MEMORY_MIB = 600;
/** What the lab's database and logs grow to in a long session. */
export const LAB_DISK_MIB = 200;
/** Each connection through a node proxy takes two, and a shell's usual soft limit is 1,024. */
export const OPEN_FILES = 4_096;
