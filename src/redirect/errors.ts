/** Error codes of redirect/ with a short remedy each. */
export const REDIRECT_ERRORS = {
  REDIRECT_FAILED:
    'is this process root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and nf_tables in the kernel?',
  REDIRECT_CNI_SOCKET: 'is the directory writable, and no other node proxy running on this node?',
} as const;
