/** The root of the CA, kept as Secret istio-ca-secret so that every replica and every restart signs with the same. */
import { isMeshError, MeshError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import {
  type AuthorityDeps,
  type CertificateAuthority,
  createRoot,
  loadAuthority,
  type RootMaterial,
} from '#identity/ca/authority.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';

export const ROOT_SECRET = 'istio-ca-secret';
const CERTIFICATE_KEY = 'ca-cert.pem';
const PRIVATE_KEY_KEY = 'ca-key.pem';

interface RootSecret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

export interface RootSecretDeps extends AuthorityDeps {
  readonly kube: KubeClient;
  readonly log: Logger;
}

/** Loads the root, or makes it when there is none. Two replicas that start at once end up with one root. */
export async function authorityFromSecret(
  deps: RootSecretDeps,
  options: { namespace: string; trustDomain: string },
): Promise<CertificateAuthority> {
  const key = { namespace: options.namespace, name: ROOT_SECRET };
  const existing = await readSecret(deps.kube, key);
  if (existing !== undefined) return loadAuthority(deps, materialOf(existing));
  const material = await createRoot(deps, options.trustDomain);
  try {
    await deps.kube.create<RootSecret>(RESOURCES.secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: key,
      type: 'istio.io/ca-root',
      data: {
        [CERTIFICATE_KEY]: Buffer.from(material.certificate).toString('base64'),
        [PRIVATE_KEY_KEY]: Buffer.from(material.privateKey).toString('base64'),
      },
    });
  } catch (error) {
    if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
    const winner = await deps.kube.get<RootSecret>(RESOURCES.secrets, key);
    return loadAuthority(deps, materialOf(winner));
  }
  deps.log.info('made a new root certificate', { secret: `${key.namespace}/${key.name}` });
  return loadAuthority(deps, material);
}

async function readSecret(
  kube: KubeClient,
  key: { namespace: string; name: string },
): Promise<RootSecret | undefined> {
  try {
    return await kube.get<RootSecret>(RESOURCES.secrets, key);
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function materialOf({ data }: RootSecret): RootMaterial {
  const certificate = data?.[CERTIFICATE_KEY];
  const privateKey = data?.[PRIVATE_KEY_KEY];
  if (certificate === undefined || privateKey === undefined) {
    throw new MeshError(
      'CA_ROOT_INVALID',
      `Secret ${ROOT_SECRET} has no ${CERTIFICATE_KEY} and ${PRIVATE_KEY_KEY}`,
      {
        side: 'config',
        hint: `kubectl delete secret ${ROOT_SECRET} starts a new root (every certificate is then replaced)`,
      },
    );
  }
  return {
    certificate: Buffer.from(certificate, 'base64').toString(),
    privateKey: Buffer.from(privateKey, 'base64').toString(),
  };
}
