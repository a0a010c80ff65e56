/** What every pod of the mesh mounts to be known, and to know the control plane by. */

const TOKEN_SECONDS = 43_200;

/** The token that asks for certificates, and the root that the control plane is known by. */
export const MESH_IDENTITY = {
  mounts: [
    { name: 'istio-token', mountPath: '/var/run/secrets/tokens', readOnly: true },
    { name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio', readOnly: true },
  ],
  volumes: [
    {
      name: 'istio-token',
      projected: {
        sources: [
          {
            serviceAccountToken: {
              path: 'istio-token',
              audience: 'istio-ca',
              expirationSeconds: TOKEN_SECONDS,
            },
          },
        ],
      },
    },
    // Made by the control plane's leader: the pod waits for it.
    { name: 'istiod-ca-cert', configMap: { name: 'istio-ca-root-cert' } },
  ],
};
