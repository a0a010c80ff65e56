/** Error codes of a machine that joins, with a short remedy each. */
export const MACHINE_ERRORS = {
  JOIN_OPTIONS: 'see `tulle join --help` and docs/join.md',
  JOIN_BUSY:
    'a node of the cluster is in the mesh through its pods; else another `tulle join` or node proxy runs in this network namespace: `ss -ltnp sport = :15001` shows which',
  JOIN_GROUP:
    'kubectl get workloadgroups -A lists them; without one: --service-account, --label, --port',
  JOIN_ADDRESS:
    'name an address that `ip -brief address` shows, with --address or --interface: peers connect to it, so it must be the machine’s own',
  JOIN_NAME_TAKEN:
    'choose another with --name, or remove the entry of a machine that is gone: kubectl delete workloadentry',
  JOIN_NO_CONTROL:
    'name an address of the control plane that this machine reaches: --control HOST:15012',
  JOIN_NO_ROOT:
    'kubectl get configmap istio-ca-root-cert in the namespace: the control plane writes it, is it running?',
  JOIN_CONFLICT:
    'others own fields of this WorkloadEntry: kubectl get workloadentry -o yaml --show-managed-fields; or choose another --name',
} as const;
