/** Error codes of hbone/ with a short remedy each. */
export const HBONE_ERRORS = {
  HBONE_REFUSED:
    'the destination proxy refused the tunnel: its access log says which policy or why',
  HBONE_BAD_REQUEST:
    'only tunnels (CONNECT with host and port) are served on 15008: is an HTTP client pointed at it?',
  HBONE_NO_ANSWER:
    'the destination proxy took the request and said nothing: look at its log and its load',
  HBONE_CONNECT_TIMEOUT:
    'is a NetworkPolicy or firewall blocking HBONE port 15008 between the two pods?',
  HBONE_HANDSHAKE_FAILED:
    'what listens on 15008 proved its identity and then did not speak HTTP/2: is it a proxy of this mesh?',
  HBONE_TUNNEL_RESET: 'the tunnel was broken off: the log of the other end says why',
  HBONE_TUNNEL_RESET_LOCAL: 'this end broke the tunnel off: the line before says why',
  HBONE_CONNECTION_LOST: 'the HBONE connection broke: is the peer restarting or unreachable?',
  HBONE_NO_IDENTITY:
    'no certificate for this workload yet: is the control plane reachable on 15012?',
  HBONE_POOL_CLOSED: 'the proxy is shutting down: try again',
} as const;
