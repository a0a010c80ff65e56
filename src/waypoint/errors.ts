/** Codes of the waypoint, each with what to do next. */
export const WAYPOINT_ERRORS = {
  WAYPOINT_OPTIONS: 'see `tulle role waypoint --help`',
  WAYPOINT_STATIC_FILE: 'compare the file with docs/waypoint-static.md',
  WAYPOINT_LISTEN_FAILED:
    'another process has the port (`ss -ltnp`), or choose others with --metrics-port and --readiness-port',
  WAYPOINT_GATEWAY_REFUSED:
    'compare hosts and tls of the Gateway with what the client asks for: `kubectl describe gateway`',
  WAYPOINT_CONNECTION_ENDED:
    'the access log line of the connection says why: a policy, an idle timeout or a longest duration',
} as const;
