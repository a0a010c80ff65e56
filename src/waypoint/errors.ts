/** Codes of the waypoint, each with what to do next. */
export const WAYPOINT_ERRORS = {
  WAYPOINT_OPTIONS: 'see `tulle role waypoint --help`',
  WAYPOINT_STATIC_FILE: 'compare the file with docs/benchmarks.md, section static proxy',
  WAYPOINT_CLIENT_GONE: 'the client closed before the answer was complete; look at its timeout',
} as const;
