/** Error codes of net/ with a short remedy each; docs/errors.md is generated from them. */
export const NET_ERRORS = {
  NET_CONNECT_REFUSED: 'nothing listens there: is the process up and on this port?',
  NET_CONNECT_TIMEOUT:
    'no answer: is the peer up, and does a firewall or NetworkPolicy drop the packets?',
  NET_CONNECT_FAILED: 'check the route to the address and the privileges of this process',
  NET_TLS_FAILED:
    'the peer broke the handshake off or never ended it: its log at this time says why; does it trust our root?',
  NET_TLS_REFUSED:
    'the peer offers no TLS that this end takes: compare versions and ALPN, and does it speak TLS on this port at all?',
  NET_CERTIFICATE_EXPIRED:
    'does the peer still get new certificates, and do both clocks agree? compare `date -u` on both',
  NET_CERTIFICATE_UNTRUSTED:
    'the certificate of the peer does not lead to a root that this end trusts, or is not for this use: do both ends have the same root?',
  NET_CERTIFICATE_MISSING: 'the peer showed no certificate: is it part of the mesh?',
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
