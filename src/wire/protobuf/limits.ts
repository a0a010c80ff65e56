/** Limits of wire/protobuf, each with its reason. */

/** Messages nested deeper are refused: none of ours nests past 8, Struct is what could be driven deep. */
export const NESTING_MAX = 64;
