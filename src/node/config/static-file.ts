/**
 * A whole mesh in one JSON file, for running node proxies without a control plane. Workloads and services may leave out
 * what has a natural default; docs/node-static.md describes the shape.
 */
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { DEFAULT_TRUST_DOMAIN } from '#model/identity/spiffe.ts';
import type { Service } from '#model/service/service.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import type { PortMapping, Workload } from '#model/workload/workload.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { NODE_ERRORS } from '../errors.ts';
import type { MeshAddress } from '../state/mesh-snapshot.ts';

type StaticWorkload = Partial<Omit<Workload, 'services'>> &
  Pick<Workload, 'name' | 'namespace'> & { services?: Record<string, PortMapping[]> };
type StaticService = Partial<Service> & Pick<Service, 'name' | 'namespace'>;

interface StaticPodFile {
  namespace: string;
  name: string;
  serviceAccount?: string;
  netns?: string;
  listenAddress?: string;
  ports?: { outbound: number; plaintext: number; hbone: number };
  /** Put the redirection rules into `netns` at start. */
  capture?: boolean;
  certificateFile: string;
  keyFile: string;
  rootFile: string;
}

interface StaticFile {
  trustDomain?: string;
  workloads?: StaticWorkload[];
  services?: StaticService[];
  authorizations?: Authorization[];
  telemetry?: ScopedTelemetry[];
  pods: StaticPodFile[];
}

export interface StaticPod extends StaticPodFile {
  serviceAccount: string;
  listenAddress: string;
  identity: TlsIdentity;
}

export interface StaticMesh {
  trustDomain: string;
  addresses: MeshAddress[];
  authorizations: Authorization[];
  /** By scope. */
  telemetry?: ReadonlyMap<string, ScopedTelemetry>;
  pods: StaticPod[];
}

export function readStaticMesh(path: string): StaticMesh {
  try {
    const file = JSON.parse(readFileSync(path, 'utf8')) as StaticFile;
    const trustDomain = file.trustDomain ?? DEFAULT_TRUST_DOMAIN;
    const workloads = (file.workloads ?? []).map((each) => completeWorkload(each, trustDomain));
    const services = (file.services ?? []).map(completeService);
    return {
      trustDomain,
      addresses: [
        ...workloads.map((workload) => ({ kind: 'workload' as const, workload })),
        ...services.map((service) => ({ kind: 'service' as const, service })),
      ],
      authorizations: file.authorizations ?? [],
      telemetry: new Map((file.telemetry ?? []).map((each) => [each.scope, each])),
      pods: file.pods.map(completePod),
    };
  } catch (cause) {
    throw new MeshError('NODE_STATIC_FILE', `cannot use ${path}: ${messageOf(cause)}`, {
      side: 'config',
      hint: NODE_ERRORS.NODE_STATIC_FILE,
      cause,
    });
  }
}

function completePod(pod: StaticPodFile): StaticPod {
  return {
    ...pod,
    serviceAccount: pod.serviceAccount ?? 'default',
    listenAddress: pod.listenAddress ?? '0.0.0.0',
    identity: {
      certificateChain: readFileSync(pod.certificateFile, 'utf8'),
      privateKey: readFileSync(pod.keyFile, 'utf8'),
      trustBundle: readFileSync(pod.rootFile, 'utf8'),
    },
  };
}

export function completeWorkload(workload: StaticWorkload, trustDomain: string): Workload {
  return {
    uid: `Kubernetes//Pod/${workload.namespace}/${workload.name}`,
    trustDomain,
    serviceAccount: 'default',
    addresses: [],
    network: '',
    protocol: 'none',
    node: '',
    workloadName: workload.name,
    workloadType: 'pod',
    canonicalName: workload.name,
    canonicalRevision: 'latest',
    clusterId: 'Kubernetes',
    locality: { region: '', zone: '', subzone: '' },
    healthy: true,
    hostNetwork: false,
    nativeTunnel: false,
    hostname: '',
    capacity: 1,
    waypoint: undefined,
    authorizationPolicies: [],
    ...workload,
    services: new Map(Object.entries(workload.services ?? {})),
  };
}

export function completeService(service: StaticService): Service {
  return {
    hostname: `${service.name}.${service.namespace}.svc.cluster.local`,
    addresses: [],
    ports: [],
    subjectAltNames: [],
    waypoint: undefined,
    loadBalancing: undefined,
    canonical: true,
    visibility: 'public',
    ipFamilies: 'automatic',
    ...service,
  };
}
