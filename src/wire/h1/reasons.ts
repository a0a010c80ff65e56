/** Why HTTP/1.1 bytes were refused: negative integers, with a name table for messages. */

export const NEED_MORE = 0;
export const BAD_METHOD = -1;
export const BAD_TARGET = -2;
export const BAD_VERSION = -3;
export const BAD_STATUS = -4;
export const BAD_REASON_PHRASE = -5;
export const BAD_LINE_END = -6;
export const BAD_FIELD_NAME = -7;
export const BAD_FIELD_VALUE = -8;
export const LINE_FOLDING = -9;
export const HEAD_TOO_LARGE = -10;
export const TOO_MANY_FIELDS = -11;
export const BAD_CONTENT_LENGTH = -12;
export const TWO_CONTENT_LENGTHS = -13;
export const LENGTH_AND_CODING = -14;
export const BAD_TRANSFER_CODING = -15;
export const TWO_HOSTS = -16;
export const BAD_CHUNK_SIZE = -17;
export const BAD_CHUNK_EXTENSION = -18;
export const BAD_CHUNK_END = -19;
export const TRAILERS_TOO_LARGE = -20;
export const BAD_TRAILER = -21;
export const TARGET_TOO_LONG = -22;

export const H1_REASON: Readonly<Record<number, string>> = {
  [BAD_METHOD]: 'the method is not a token',
  [BAD_TARGET]: 'the request target has a character that must be encoded',
  [BAD_VERSION]: 'the protocol version is not HTTP/1.0 or HTTP/1.1',
  [BAD_STATUS]: 'the status code is not three digits',
  [BAD_REASON_PHRASE]: 'the reason phrase has a control character',
  [BAD_LINE_END]: 'a line does not end in CR LF',
  [BAD_FIELD_NAME]: 'a field name is not a token followed by a colon',
  [BAD_FIELD_VALUE]: 'a field value has a control character',
  [LINE_FOLDING]: 'a field line begins with white space',
  [HEAD_TOO_LARGE]: 'the head is too large',
  [TOO_MANY_FIELDS]: 'the head has too many fields',
  [BAD_CONTENT_LENGTH]: 'Content-Length is not a decimal number',
  [TWO_CONTENT_LENGTHS]: 'there is more than one Content-Length',
  [LENGTH_AND_CODING]: 'there are both Content-Length and Transfer-Encoding',
  [BAD_TRANSFER_CODING]: 'Transfer-Encoding is not exactly "chunked" on HTTP/1.1',
  [TWO_HOSTS]: 'there is more than one Host',
  [BAD_CHUNK_SIZE]: 'a chunk size is not hexadecimal',
  [BAD_CHUNK_EXTENSION]: 'a chunk extension is too long or has a control character',
  [BAD_CHUNK_END]: 'the data of a chunk does not end in CR LF',
  [TRAILERS_TOO_LARGE]: 'the trailer section is too large',
  [TARGET_TOO_LONG]: 'the request target is too long',
  [BAD_TRAILER]: 'the trailer section has a field that only a head may have',
};
