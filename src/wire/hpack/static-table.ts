/** The static table of RFC 7541 Appendix A; index 1 is the first entry. */

const ENTRIES: readonly string[] = [
  ':authority',
  ':method GET',
  ':method POST',
  ':path /',
  ':path /index.html',
  ':scheme http',
  ':scheme https',
  ':status 200',
  ':status 204',
  ':status 206',
  ':status 304',
  ':status 400',
  ':status 404',
  ':status 500',
  'accept-charset',
  'accept-encoding gzip, deflate',
  'accept-language',
  'accept-ranges',
  'accept',
  'access-control-allow-origin',
  'age',
  'allow',
  'authorization',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'etag',
  'expect',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'link',
  'location',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'referer',
  'refresh',
  'retry-after',
  'server',
  'set-cookie',
  'strict-transport-security',
  'transfer-encoding',
  'user-agent',
  'vary',
  'via',
  'www-authenticate',
];

export const STATIC_COUNT = ENTRIES.length;
export const STATIC_NAMES: string[] = [''];
export const STATIC_VALUES: string[] = [''];
/** Name → lowest index. */
export const STATIC_INDEX = new Map<string, number>();

for (const entry of ENTRIES) {
  const space = entry.indexOf(' ');
  const name = space < 0 ? entry : entry.slice(0, space);
  if (!STATIC_INDEX.has(name)) STATIC_INDEX.set(name, STATIC_NAMES.length);
  STATIC_NAMES.push(name);
  STATIC_VALUES.push(space < 0 ? '' : entry.slice(space + 1));
}
