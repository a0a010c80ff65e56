/** Codes of failures that the command line itself finds. */
export const CLI_ERRORS = {
  CLI_NO_CLUSTER: 'tulle lab up --demo, or pass --kubeconfig PATH',
  CLI_NO_CONSOLE:
    'tulle lab status, or kubectl get pods -A -l app=istiod: the control plane may still be starting; TULLE_CONSOLE names one elsewhere',
  CLI_CONSOLE_REFUSED: 'tulle status shows whether the control plane is well',
  CLI_PORT_TAKEN: 'free the port, or choose another with --port',
  CLI_UNKNOWN_KIND: 'kubectl api-resources lists the kinds that this cluster serves',
  CLI_NO_POD: 'tulle get pods -A',
  CLI_NO_PROXY: 'tulle proxy list',
  CLI_POD_PORT:
    'tulle describe pod NAME shows whether it runs; kubectl auth can-i create pods/portforward whether you may ask it',
  CLI_EXEC_FAILED: 'tulle describe pod NAME shows whether its container runs',
} as const;
