/** What is looked at before anything is changed: Kubernetes' version, our rights, other meshes. */
import { MeshError } from '#base/errors.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { compareVersions } from '../crds/versions.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { KUBERNETES_MIN } from '../limits.ts';
import { inBatches } from './batches.ts';
import { REFS } from './refs.ts';

export async function checkVersion(client: KubeClient): Promise<string> {
  const { gitVersion } = (await client.request('GET', '/version')) as { gitVersion: string };
  if (compareVersions(gitVersion, KUBERNETES_MIN) >= 0) return gitVersion;
  throw new MeshError(
    'INSTALL_KUBERNETES_VERSION',
    `the cluster is Kubernetes ${gitVersion}, and ${KUBERNETES_MIN} or newer is needed`,
    { side: 'config', hint: INSTALL_ERRORS.INSTALL_KUBERNETES_VERSION },
  );
}

export interface Right {
  readonly verb: string;
  readonly ref: ResourceRef;
  /** Where it is needed; undefined: everywhere, or of an object without namespace. */
  readonly namespace?: string;
}

/** Of the objects that are to be applied, and of what is looked at on the way. */
export function rightsFor(objects: readonly KubeObject[], namespace: string): Right[] {
  const kinds = [...objects.map(({ kind }) => kind), 'CustomResourceDefinition', 'Lease'];
  const applied = [...new Set(kinds)].flatMap((kind) => {
    const ref = REFS[kind as keyof typeof REFS];
    const where = ref.namespaced ? { namespace } : {};
    return APPLYING.map((verb) => ({ verb, ref, ...where }));
  });
  return [...LOOKED_AT.map((ref) => ({ verb: 'list', ref })), ...applied];
}

const APPLYING = ['get', 'create', 'patch', 'delete'];
const LOOKED_AT = [
  RESOURCES.nodes,
  RESOURCES.namespaces,
  RESOURCES.deployments,
  RESOURCES.daemonSets,
  RESOURCES.customResourceDefinitions,
];

/** Throws INSTALL_FORBIDDEN with every right that is missing. */
export async function checkRights(client: KubeClient, rights: readonly Right[]): Promise<void> {
  const missing = await missingRights(client, rights);
  if (missing.length === 0) return;
  throw new MeshError('INSTALL_FORBIDDEN', `this account may not:\n  ${missing.join('\n  ')}`, {
    side: 'config',
    hint: INSTALL_ERRORS.INSTALL_FORBIDDEN,
  });
}

/** `create daemonsets.apps in namespace istio-system`, in order. */
export async function missingRights(
  client: KubeClient,
  rights: readonly Right[],
): Promise<string[]> {
  const missing: string[] = [];
  await inBatches(rights, async ({ verb, ref, namespace }) => {
    const answer = (await client.request(
      'POST',
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { verb, group: ref.group, resource: ref.resource, namespace } },
      },
    )) as { status?: { allowed?: boolean } };
    if (answer.status?.allowed === true) return;
    const group = ref.group === '' ? '' : `.${ref.group}`;
    const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
    missing.push(`${verb} ${ref.resource}${group}${where}`);
  });
  return missing.sort();
}

export interface OtherMesh {
  readonly name: string;
  readonly object: string;
  /** It would capture the same pods or answer to the same names. */
  readonly collides: boolean;
}

const NAMESPACES_OF_MESHES: ReadonlyMap<string, string> = new Map([
  ['linkerd', 'Linkerd'],
  ['kuma-system', 'Kuma'],
  ['consul', 'Consul'],
]);

/** Other meshes in sight. What has our label is not another one. */
export async function otherMeshes(client: KubeClient): Promise<OtherMesh[]> {
  const notOurs = `app.kubernetes.io/part-of!=tulle`;
  const [controls, agents, namespaces] = await Promise.all([
    client.list(RESOURCES.deployments, { labelSelector: `app=istiod,${notOurs}` }),
    client.list(REFS.DaemonSet, { labelSelector: notOurs }),
    client.list(RESOURCES.namespaces),
  ]);
  const place = ({ metadata }: KubeObject) => `${metadata.namespace}/${metadata.name}`;
  return [
    ...controls.items.map((each) => ({
      name: `Istio (revision ${each.metadata.labels?.['istio.io/rev'] ?? 'default'})`,
      object: `Deployment ${place(each)}`,
      collides: false,
    })),
    ...agents.items
      .filter(({ metadata }) => ['ztunnel', 'istio-cni-node'].includes(metadata.name))
      .map((each) => ({
        name: 'Istio in ambient mode',
        object: `DaemonSet ${place(each)}`,
        collides: true,
      })),
    ...namespaces.items.flatMap(({ metadata }) => {
      const name = NAMESPACES_OF_MESHES.get(metadata.name);
      return name === undefined
        ? []
        : [{ name, object: `Namespace ${metadata.name}`, collides: false }];
    }),
  ];
}
