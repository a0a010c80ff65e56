/** Numbers of linux/netfilter/nf_tables.h and nfnetlink.h. */

export const NFPROTO_INET = 1;
export const NFPROTO_IPV4 = 2;
export const NFPROTO_IPV6 = 10;

// Message types: the subsystem is in the upper byte.
const SUBSYSTEM = 10;
export const RESOURCE_ID = SUBSYSTEM;
export const BATCH_BEGIN = 0x10;
export const BATCH_END = 0x11;
const message = (kind: number) => (SUBSYSTEM << 8) | kind;
export const NEW_TABLE = message(0);
export const DELETE_TABLE = message(2);
export const NEW_CHAIN = message(3);
export const GET_CHAIN = message(4);
export const NEW_RULE = message(6);
export const GET_RULE = message(7);
export const DELETE_RULE = message(8);
export const NEW_SET = message(9);
export const NEW_ELEMENTS = message(12);
export const GET_ELEMENTS = message(13);
export const DELETE_ELEMENTS = message(14);
export const GET_GENERATION = message(16);

export const TABLE = { name: 1, flags: 2 } as const;
export const TABLE_OWNER = 2;
export const CHAIN = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
export const HOOK = { number: 1, priority: 2 } as const;
export const RULE = { table: 1, chain: 2, expressions: 4 } as const;
export const SET = { table: 1, name: 2, keyType: 4, keyLength: 5, id: 10 } as const;
export const ELEMENTS = { table: 1, set: 2, list: 3 } as const;
export const ELEMENT_KEY = 1;
export const GENERATION_ID = 1;
export const LIST_ELEMENT = 1;

export const EXPRESSION = { name: 1, data: 2 } as const;
export const DATA = { value: 1, verdict: 2 } as const;
export const VERDICT = { code: 1, chain: 2 } as const;
export const VERDICT_ACCEPT = 1;
export const VERDICT_JUMP = -3;
export const VERDICT_RETURN = -5;

export const REGISTER_VERDICT = 0;
export const REGISTER_1 = 1;

/** Types of set keys, known to nft's listing only. */
export const KEY_IPV4 = 7;
export const KEY_IPV6 = 8;
