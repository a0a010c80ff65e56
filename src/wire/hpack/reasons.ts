/** Why a header block was refused. Every one is a connection error COMPRESSION_ERROR (RFC 9113 §4.3). */

export const BAD_INTEGER = -1;
export const TRUNCATED = -2;
export const BAD_INDEX = -3;
export const BAD_HUFFMAN = -4;
export const BAD_TABLE_SIZE = -5;

export const HPACK_REASON: Readonly<Record<number, string>> = {
  [BAD_INTEGER]: 'an integer in the header block is too large',
  [TRUNCATED]: 'the header block ends inside a field',
  [BAD_INDEX]: 'the header block refers to an entry that does not exist',
  [BAD_HUFFMAN]: 'a Huffman-coded string is broken',
  [BAD_TABLE_SIZE]: 'a table size update is too large or in the wrong place',
};
