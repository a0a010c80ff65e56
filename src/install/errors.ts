/** Codes of failures when Tulle is installed on a cluster or taken from it. */
export const INSTALL_ERRORS = {
  INSTALL_VALUES: 'correct the values that are named; docs/install.md lists all of them',
  INSTALL_SET: 'write --set NAME=VALUE, as --set control.replicas=3',
  INSTALL_VALUES_FILE: 'name a YAML file with values, as docs/install.md shows one',
  INSTALL_KUBERNETES_VERSION: 'upgrade the cluster first',
  INSTALL_FORBIDDEN:
    'ask an administrator, or use an account that is one: kubectl auth can-i --list shows what this one may do',
  INSTALL_LOCKED:
    'wait for it to end; if that program is gone, its lock is given up within seconds: try again',
  INSTALL_FOREIGN:
    'remove what is there first (istioctl uninstall --purge for Istio), choose another --namespace, or take it over with --force-conflicts',
  INSTALL_CRDS: 'do what is said about each definition, then run the command again',
  INSTALL_CONFLICT:
    'keep those fields by saying the same in --set, or take them over with --force-conflicts',
  INSTALL_NOT_READY:
    'kubectl -n istio-system describe pods shows more; tulle install goes on from here',
  INSTALL_NOT_THERE: 'tulle install',
  INSTALL_NODES_IN_USE:
    'give them to another revision first: tulle upgrade --revision NAME --set node.enabled=true',
  INSTALL_PODS_LEFT:
    'connections of captured pods may still run: wait and run tulle uninstall again, or give it longer with --timeout',
  INSTALL_NO_POD:
    'the chart runs this as a Job before helm uninstall; without Helm it is tulle uninstall',
  INSTALL_HELM: 'helm upgrade or helm uninstall, as it was installed with Helm',
} as const;
