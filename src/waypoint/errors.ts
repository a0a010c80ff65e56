/** Codes of the waypoint, each with what to do next. */
export const WAYPOINT_ERRORS = {
  WAYPOINT_OPTIONS: 'see `tulle role waypoint --help`',
  WAYPOINT_STATIC_FILE: 'compare the file with docs/waypoint-static.md',
  WAYPOINT_LISTEN_FAILED:
    'another process has the port (`ss -ltnp`), or choose others with --metrics-port and --readiness-port',
} as const;
