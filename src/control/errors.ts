/** Codes of operating failures of the control plane. */
export const CONTROL_ERRORS = {
  CONTROL_NO_CLUSTER: 'run inside a pod, or name a kubeconfig with --kubeconfig',
  CONTROL_USAGE: 'see `tulle role control --help` for the flags',
  CONTROL_LISTEN_FAILED: 'free the port or path, or choose another with the listen flags',
  CONTROL_SCRAPE_FAILED: 'look at the proxy: `tulle logs`, and whether its port 15020 answers',
  CONTROL_TAPS_FULL: 'end another `tulle tap` or live view, or ask for the same as one of them',
} as const;
