/** Error codes of xds/ with a short remedy each; docs/errors.md is generated from them. */
export const XDS_ERRORS = {
  XDS_MALFORMED: 'the peer speaks another protocol or version: compare both ends',
} as const;
