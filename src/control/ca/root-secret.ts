/**
 * What the CA signs with: Secret `cacerts` where an operator plugged one in, else a root of our own, kept as Secret
 * istio-ca-secret so that every replica and every restart signs with the same.
 */
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
export const PLUGGED_SECRET = 'cacerts';
export const CERTIFICATE_KEY = 'ca-cert.pem';
const PRIVATE_KEY_KEY = 'ca-key.pem';

interface RootSecret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

export interface RootSecretDeps extends AuthorityDeps {
  readonly kube: KubeClient;
  readonly log: Logger;
}

export interface LoadedRoot {
  readonly authority: CertificateAuthority;
  /** Undefined for a root that was plugged in: its Secret is its owner's. */
  readonly own: RootMaterial | undefined;
}

/** Loads the root, or makes it when there is none. Two replicas that start at once end up with one root. */
export async function rootFromSecret(
  deps: RootSecretDeps,
  options: { namespace: string; trustDomain: string },
): Promise<LoadedRoot> {
  const plugged = await readSecret(deps.kube, { ...options, name: PLUGGED_SECRET });
  if (plugged !== undefined) {
    deps.log.info('signing with the CA that was plugged in', { secret: PLUGGED_SECRET });
    return { authority: await loadAuthority(deps, pluggedMaterial(plugged)), own: undefined };
  }
  const key = { namespace: options.namespace, name: ROOT_SECRET };
  const existing = await readSecret(deps.kube, key);
  if (existing !== undefined) return loaded(deps, materialOf(existing));
  const material = await createRoot(deps, options.trustDomain);
  try {
    await deps.kube.create<RootSecret>(RESOURCES.secrets, rootSecret(options.namespace, material));
  } catch (error) {
    if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
    const winner = await deps.kube.get<RootSecret>(RESOURCES.secrets, key);
    return loaded(deps, materialOf(winner));
  }
  deps.log.info('made a new root certificate', { secret: `${key.namespace}/${key.name}` });
  return loaded(deps, material);
}

async function loaded(deps: RootSecretDeps, own: RootMaterial): Promise<LoadedRoot> {
  return { authority: await loadAuthority(deps, own), own };
}

export function rootSecret(namespace: string, material: RootMaterial): RootSecret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: ROOT_SECRET },
    type: 'istio.io/ca-root',
    data: {
      [CERTIFICATE_KEY]: Buffer.from(material.certificate).toString('base64'),
      [PRIVATE_KEY_KEY]: Buffer.from(material.privateKey).toString('base64'),
    },
  };
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

function materialOf({ data = {} }: RootSecret): RootMaterial {
  const certificate = textOf(data[CERTIFICATE_KEY]);
  const privateKey = textOf(data[PRIVATE_KEY_KEY]);
  if (certificate !== undefined && privateKey !== undefined) return { certificate, privateKey };
  throw new MeshError(
    'CA_ROOT_INVALID',
    `Secret ${ROOT_SECRET} has no ${CERTIFICATE_KEY} and ${PRIVATE_KEY_KEY}`,
    {
      side: 'config',
      hint: `kubectl delete secret ${ROOT_SECRET} starts a new root (every certificate is then replaced)`,
    },
  );
}

/** Istio's names, else those of a Secret of type kubernetes.io/tls. */
function pluggedMaterial({ data = {} }: RootSecret): RootMaterial {
  const certificate = textOf(data[CERTIFICATE_KEY] ?? data['tls.crt']);
  const privateKey = textOf(data[PRIVATE_KEY_KEY] ?? data['tls.key']);
  const roots = textOf(data['root-cert.pem'] ?? data['ca.crt']);
  if (certificate !== undefined && privateKey !== undefined && roots !== undefined) {
    return { certificate, privateKey, roots, chain: textOf(data['cert-chain.pem']) ?? certificate };
  }
  const missing = Object.entries({ certificate, privateKey, roots })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  throw new MeshError('CA_ROOT_INVALID', `Secret ${PLUGGED_SECRET} lacks ${missing.join(', ')}`, {
    side: 'config',
    hint: `it holds ${CERTIFICATE_KEY}, ${PRIVATE_KEY_KEY}, cert-chain.pem and root-cert.pem; delete it to sign with a root of our own`,
  });
}

export function textOf(base64: string | undefined): string | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString();
}
