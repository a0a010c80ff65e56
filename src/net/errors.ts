/** Error codes of net/ with a short remedy each; docs/errors.md is generated from them. */
export const NET_ERRORS = {
  NET_CONNECT_REFUSED: 'nothing listens there: is the process up and on this port?',
  NET_CONNECT_TIMEOUT:
    'no answer: is the peer up, and does a firewall or NetworkPolicy drop the packets?',
  NET_CONNECT_FAILED: 'check the route to the address and the privileges of this process',
  NET_TLS_FAILED:
    'compare both ends: TLS 1.3, ALPN h2, certificates from the same root and not expired',
  NET_PEER_IDENTITY:
    'the peer proved another identity than the one expected: is its address stale?',
  NET_RESET: 'the peer broke the connection off: look at its log at this time',
  NET_RESET_LOCAL: 'this end broke the connection off: the line before says why',
  NET_LISTEN_FAILED: 'is the port taken or the privilege missing? try `ss -ltnp`',
  NET_NAMESPACE:
    'does the network namespace still exist, and is this process root (CAP_SYS_ADMIN)?',
  NET_NETLINK:
    'is this process root (CAP_NET_ADMIN), and does its seccomp profile allow netlink sockets?',
  NET_DATAGRAM: 'is there a route to the address, and does a firewall drop UDP to this port?',
  NET_PACKET: 'does the other end of this socket run, and does it speak ZDS of this version?',
  NET_SOCKET: 'raise the limit of open files (ulimit -n) or the privileges of this process',
} as const;
