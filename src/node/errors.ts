/** Error codes of node/ with a short remedy each. */
export const NODE_ERRORS = {
  NODE_OPTIONS: 'see `tulle role node --help`',
  NODE_STATIC_FILE: 'compare the file with docs/node-static.md',
  NODE_WORKLOAD_UNKNOWN:
    'the control plane has not told this node about the pod yet: `tulle status` shows its sync state',
  NODE_NO_IDENTITY:
    'no certificate for this workload: is the control plane reachable on port 15012?',
  NODE_NO_UPSTREAM: 'no healthy endpoint serves this port: kubectl get endpointslices and pods',
  NODE_UNRESOLVED:
    "the endpoint is known by name only: do the node proxy's own name servers (/etc/resolv.conf) know it?",
  NODE_WAYPOINT_UNREADY:
    'the service wants a waypoint and none is ready; traffic is refused rather than sent around it: tulle waypoint status',
  NODE_LOOP:
    'the proxy was asked to connect to itself: connect to the service instead of ports 15001, 15006, 15008',
  NODE_POLICY:
    'an AuthorizationPolicy or PeerAuthentication refused the connection: its name is in the message',
  NODE_POLICY_CHANGED: 'a policy change closed a connection that it no longer allows',
  NODE_BAD_TUNNEL:
    'the peer asked for an address this proxy does not serve: its view of the mesh may be stale',
  NODE_CAPTURE: 'kubectl describe pod, and the log of the node proxy on its node',
  NODE_LIMIT:
    'the pod reached a limit of the node proxy: `tulle proxy connections` shows what it holds, `tulle role node --help` the flags that raise it',
  NODE_WORKER_DIED:
    'a bug in the proxy: report the stack trace in the log; --workers 0 runs without data workers',
  NODE_CLOSED: 'the pod is gone or the proxy is shutting down',
} as const;
