/** Limits of wire/protobuf, each with its reason. */

/** Messages nested deeper are refused: none of ours nests past 8, Struct is what could be driven deep. */
export const NESTING_MAX = 64;
/** A writer's buffer above this is given back: a first response is megabytes, all else kilobytes. */
export const WRITER_KEEP_BYTES = 64 * 1024;
