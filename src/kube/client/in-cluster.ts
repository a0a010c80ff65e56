/**
 * Where the API server is for a pod: the service account that Kubernetes mounts. Apart from kubeconfig.ts so that
 * a node proxy does not load a YAML parser.
 */
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '#base/errors.ts';
import { KUBE_ERRORS } from '../errors.ts';
import type { KubeConnection } from './rest-client.ts';

const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Undefined outside a pod. */
export function inClusterConnection(
  env: Record<string, string | undefined>,
  directory: string = SERVICE_ACCOUNT_DIR,
): KubeConnection | undefined {
  const host = env.KUBERNETES_SERVICE_HOST;
  if (host === undefined || host === '') return undefined;
  const port = env.KUBERNETES_SERVICE_PORT ?? '443';
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls: { ca: readText(`${directory}/ca.crt`) },
    token: () => readText(`${directory}/token`).trim(),
    namespace: readText(`${directory}/namespace`).trim(),
  };
}

export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`cannot read ${path}: ${messageOf(error)}`, error);
  }
}

export function invalid(message: string, cause?: unknown): MeshError {
  const hint = KUBE_ERRORS.KUBECONFIG_INVALID;
  return new MeshError('KUBECONFIG_INVALID', `kubeconfig: ${message}`, {
    side: 'config',
    hint,
    cause,
  });
}
