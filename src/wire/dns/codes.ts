/** Numbers of the DNS wire format that have names (IANA "Domain Name System Parameters"), and refusal reasons. */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  /** RFC 6891 §9: an EDNS version that is not known; needs an OPT record. */
  badVersion: 16,
} as const;

/** How types are written: https://www.iana.org/assignments/dns-parameters, those in use. */
export const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: 'a',
  2: 'ns',
  5: 'cname',
  6: 'soa',
  12: 'ptr',
  15: 'mx',
  16: 'txt',
  28: 'aaaa',
  33: 'srv',
  35: 'naptr',
  41: 'opt',
  43: 'ds',
  46: 'rrsig',
  47: 'nsec',
  48: 'dnskey',
  52: 'tlsa',
  64: 'svcb',
  65: 'https',
  251: 'ixfr',
  252: 'axfr',
  255: 'any',
  257: 'caa',
};

export const OPCODE_QUERY = 0;

/** Why `decodeMessage` refused; negative so that it cannot be taken for a length. */
export const DNS_REASON = {
  truncated: -1,
  labelTooLong: -2,
  nameTooLong: -3,
  compressionLoop: -4,
  badLabelType: -5,
  badRecordLength: -6,
  tooManyRecords: -7,
  trailingBytes: -8,
  duplicateOpt: -9,
} as const;

export const DNS_REASON_TEXT: Readonly<Record<number, string>> = {
  [DNS_REASON.truncated]: 'message ends inside a field',
  [DNS_REASON.labelTooLong]: 'label longer than 63 bytes',
  [DNS_REASON.nameTooLong]: 'name longer than 255 bytes',
  [DNS_REASON.compressionLoop]: 'compression pointer does not point backwards',
  [DNS_REASON.badLabelType]: 'label type is neither text nor pointer',
  [DNS_REASON.badRecordLength]: 'record data does not fill its length',
  [DNS_REASON.tooManyRecords]: 'more records than a message can hold',
  [DNS_REASON.trailingBytes]: 'bytes after the last record',
  [DNS_REASON.duplicateOpt]: 'more than one OPT record',
};
