/** What every pod of the mesh mounts to be known, and to know the control plane by. */

import { CRL_KEY, CRL_NAME } from '#identity/trust/crl-map.ts';

const TOKEN_SECONDS = 43_200;

const CRL_DIR = '/var/run/secrets/istio-ca-crl';

/** The token that asks for certificates, the root that the control plane is known by, and who is trusted no more. */
export const MESH_IDENTITY = {
  env: [{ name: 'CRL_PATH', value: `${CRL_DIR}/${CRL_KEY}` }],
  mounts: [
    { name: 'istio-token', mountPath: '/var/run/secrets/tokens', readOnly: true },
    { name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio', readOnly: true },
    { name: CRL_NAME, mountPath: CRL_DIR, readOnly: true },
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
    // Most meshes have none; one that comes later shows through.
    { name: CRL_NAME, configMap: { name: CRL_NAME, optional: true } },
  ],
};
