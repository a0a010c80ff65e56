/** Can this cluster run Tulle? Pure: from what was seen of the cluster to what is wrong with it. */

import type { OtherMesh } from '#install/cluster/preflight.ts';
import type { CrdAction } from '#install/crds/install-crds.ts';
import { compareVersions } from '#install/crds/versions.ts';
import { KUBERNETES_MIN } from '#install/limits.ts';
import type { Node } from '#kube/client/kinds.ts';
import { type Diagnosis, diagnosis, type Finding, fine, wrong } from './finding.ts';
import { kernel } from './machine.ts';

export interface ClusterFacts {
  readonly version: string;
  readonly missingRights: readonly string[];
  /** What could not be looked at, behind what is said about it; nothing else is known of it. */
  readonly nodes: readonly Node[] | Unseen;
  readonly definitions: readonly CrdAction[] | Unseen;
  readonly otherMeshes: readonly OtherMesh[] | Unseen;
  readonly platform: string | undefined;
  /** Tulle, where it is here already. */
  readonly installed: { readonly version: string; readonly by: string } | undefined;
  readonly namespace: string;
  /** Of the namespace, if it is there: what Pod Security admits in it. */
  readonly podSecurity: string | undefined;
  /** Of Cilium, if it is here. */
  readonly cilium: Readonly<Record<string, string>> | undefined;
}

export interface Unseen {
  readonly unseen: string;
}

export const isUnseen = (facts: object): facts is Unseen => 'unseen' in facts;

export function judgeCluster(facts: ClusterFacts): Diagnosis {
  return diagnosis([
    version(facts.version),
    rights(facts.missingRights),
    ...nodes(facts.nodes),
    ...(facts.platform === undefined
      ? []
      : [fine('platform', `${facts.platform}: tulle install takes the values that it needs`)]),
    ...definitions(facts.definitions),
    ...meshes(facts.otherMeshes),
    ...network(facts.cilium),
    ...admission(facts),
    installed(facts.installed),
  ]);
}

function version(text: string): Finding {
  if (compareVersions(text, KUBERNETES_MIN) >= 0) return fine('version', `Kubernetes ${text}`);
  return wrong('version', 'error', {
    message: `Kubernetes ${text}; ${KUBERNETES_MIN} or newer is needed`,
    remedy: 'upgrade the cluster first',
  });
}

function rights(missing: readonly string[]): Finding {
  if (missing.length === 0) return fine('rights', 'this account may install');
  return wrong('rights', 'error', {
    message: `this account may not ${missing.join('; ')}`,
    remedy:
      'use an account that may, or ask an administrator: docs/install.md lists what is installed',
  });
}

/** Bun is for these; an image is for that of the machine that it was built on. */
const ARCHITECTURES = ['amd64', 'arm64'];

function nodes(seen: ClusterFacts['nodes']): Finding[] {
  if (isUnseen(seen)) return [unseen('nodes', seen)];
  const ofLinux = seen.filter((node) => infoOf(node).operatingSystem !== 'windows');
  if (ofLinux.length === 0) {
    return [wrong('nodes', 'error', { message: 'there is no Linux node', remedy: 'add one' })];
  }
  return [
    fine(
      'nodes',
      `${ofLinux.length} with Linux${ofLinux.length === seen.length ? '' : `, ${seen.length - ofLinux.length} with Windows, which stay outside`}`,
    ),
    ...architectures(ofLinux),
    oldestKernel(ofLinux),
    ...unready(ofLinux),
  ];
}

const infoOf = (node: Node): Record<string, string> => node.status?.nodeInfo ?? {};

function named(which: readonly Node[]): string {
  const names = which.slice(0, 3).map(({ metadata }) => metadata.name);
  return `${names.join(', ')}${which.length > 3 ? ` and ${which.length - 3} more` : ''}`;
}

function architectures(of: readonly Node[]): Finding[] {
  const kinds = [...new Set(of.map((node) => infoOf(node).architecture ?? ''))].sort();
  const none = of.filter((node) => !ARCHITECTURES.includes(infoOf(node).architecture ?? ''));
  if (none.length > 0) {
    return [
      wrong('architecture', 'error', {
        message: `${named(none)}: ${[...new Set(none.map((node) => infoOf(node).architecture))].join(', ')}; images are for ${ARCHITECTURES.join(' and ')}`,
        remedy:
          'keep the mesh off those nodes: --set node.nodeSelector and control.nodeSelector with kubernetes.io/arch',
      }),
    ];
  }
  if (kinds.length === 1) return [fine('architecture', kinds[0])];
  return [
    wrong('architecture', 'warning', {
      message: `${kinds.join(' and ')}: the image must be there for both`,
      remedy:
        'build the image on a machine of each kind and push one index of both, or choose nodes by node.nodeSelector',
    }),
  ];
}

function oldestKernel(of: readonly Node[]): Finding {
  const byAge = [...of].sort((a, b) =>
    compareVersions(infoOf(a).kernelVersion ?? '', infoOf(b).kernelVersion ?? ''),
  );
  const oldest = infoOf(byAge[0]).kernelVersion ?? 'unknown';
  const finding = kernel(oldest);
  const same = of.filter((node) => infoOf(node).kernelVersion === oldest);
  return { ...finding, message: `${finding.message} (the oldest, on ${named(same)})` };
}

function unready(of: readonly Node[]): Finding[] {
  const lacking = of.filter(
    ({ status }) =>
      status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') !==
      true,
  );
  if (lacking.length === 0) return [];
  return [
    wrong('nodes', 'warning', {
      message: `not ready: ${named(lacking)}`,
      remedy: 'kubectl describe node NAME says why; its node proxy starts when it is ready',
    }),
  ];
}

function definitions(seen: ClusterFacts['definitions']): Finding[] {
  if (isUnseen(seen)) return [unseen('definitions', seen)];
  const found = seen.flatMap((action): Finding[] => {
    if (action.do === 'refuse')
      return [
        wrong('definitions', 'error', {
          message: `${action.name}: ${action.why}`,
          remedy: action.remedy,
        }),
      ];
    if (action.do === 'leave' && action.lost !== undefined)
      return [
        wrong('definitions', 'warning', {
          message: `${action.lost} will not be served: ${action.why}`,
          remedy: 'install the whole bundle of that version, or go without the kind',
        }),
      ];
    return [];
  });
  if (found.length > 0) return found;
  const count = (what: CrdAction['do']) => seen.filter((action) => action.do === what).length;
  return [
    fine(
      'definitions',
      `${count('create')} to create, ${count('update')} to update, ${count('leave')} of others that fit`,
    ),
  ];
}

function meshes(seen: ClusterFacts['otherMeshes']): Finding[] {
  if (isUnseen(seen)) return [unseen('meshes', seen)];
  if (seen.length === 0) return [fine('meshes', 'no other is here')];
  return seen.map(({ name, object, collides }) =>
    wrong('meshes', 'warning', {
      message: `${name} is here (${object})${collides ? ': both would capture the same pods' : ''}`,
      remedy: collides
        ? 'enrol a namespace in one of them only, or remove the other first (istioctl uninstall --purge)'
        : 'enrol a namespace in one of them only',
    }),
  );
}

/** Settings of Cilium that take other plugins away, or connections before they can be redirected. */
function network(cilium: ClusterFacts['cilium']): Finding[] {
  if (cilium === undefined) return [];
  const found: Finding[] = [];
  if (cilium['cni-exclusive'] === 'true') {
    found.push(
      wrong('network', 'error', {
        message:
          'Cilium takes other plugins out of the CNI configuration (cni-exclusive), that of the mesh too',
        remedy: 'helm upgrade cilium … --set cni.exclusive=false',
      }),
    );
  }
  const replaces = ['true', 'strict'].includes(cilium['kube-proxy-replacement'] ?? '');
  if (replaces && cilium['bpf-lb-sock-hostns-only'] !== 'true') {
    found.push(
      wrong('network', 'warning', {
        message:
          'Cilium translates addresses of services inside pods: the mesh sees endpoints, and no service with its waypoint',
        remedy: 'helm upgrade cilium … --set socketLB.hostNamespaceOnly=true',
      }),
    );
  }
  return found.length > 0 ? found : [fine('network', 'Cilium, with settings that fit')];
}

function admission({ namespace, podSecurity }: ClusterFacts): Finding[] {
  if (podSecurity === undefined || podSecurity === 'privileged') return [];
  return [
    wrong('admission', 'error', {
      message: `namespace ${namespace} admits pods of level ${podSecurity}, and node proxies need host network and hostPath`,
      remedy: `kubectl label --overwrite namespace ${namespace} pod-security.kubernetes.io/enforce=privileged`,
    }),
  ];
}

function installed(found: ClusterFacts['installed']): Finding {
  return fine(
    'installed',
    found === undefined
      ? 'Tulle is not here yet: tulle install'
      : `Tulle ${found.version} is here, by ${found.by}`,
  );
}

function unseen(check: string, { unseen: why }: Unseen): Finding {
  return wrong(check, 'warning', {
    message: `cannot be looked at: ${why}`,
    remedy: 'look with an account that may',
  });
}
