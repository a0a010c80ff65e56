/** Error codes of redirect/ with a short remedy each. */
export const REDIRECT_ERRORS = {
  REDIRECT_FAILED:
    'is this process root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and nf_tables in the kernel?',
  REDIRECT_CNI_SOCKET: 'is the directory writable, and no other node proxy running on this node?',
  REDIRECT_CNI_INSTALL:
    'are the node’s folders for CNI mounted, writable, and the ones that the container runtime uses (cni.binDir, cni.confDir)?',
} as const;
