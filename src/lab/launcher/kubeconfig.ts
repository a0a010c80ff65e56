/** The kubeconfig that `lab up` writes: one cluster, one administrator, one context named tulle-lab. */

export interface KubeconfigOptions {
  server: string;
  certificateAuthority: string;
  token: string;
  namespace: string;
}

/** JSON is YAML, and needs no quoting rules. */
export function kubeconfigText(options: KubeconfigOptions): string {
  const { server, certificateAuthority, token, namespace } = options;
  const name = 'tulle-lab';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      {
        name,
        cluster: {
          server,
          'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64'),
        },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
