/**
 * What there is: GET /api/v1/overview (OverviewAnswer), /namespaces, /workloads, /services, /apps (rows), and one of them by namespace and
 * name, `/workloads/{namespace}/{name}` (WorkloadAnswer, ServiceAnswer, AppAnswer). All take `namespaces=` and `window=`.
 */

import type { Finding } from './config.ts';
import type { GraphEdge, GraphNode, Traffic } from './graph.ts';
import type { Health } from './health.ts';
import type { CertificateRow } from './mesh.ts';

export interface OverviewAnswer {
  readonly generatedAt: string;
  /** The mesh in one sentence, and its state. */
  readonly mesh: Health;
  /** What needs somebody now, the most harmful first. */
  readonly attention: readonly AttentionItem[];
  readonly namespaces: readonly NamespaceRow[];
}

export interface AttentionItem {
  readonly severity: 'failing' | 'degraded' | 'notice';
  readonly kind:
    | 'workload'
    | 'service'
    | 'proxy'
    | 'certificate'
    | 'finding'
    | 'refused-policy'
    | 'control'
    | 'ejection';
  readonly title: string;
  readonly reason: string;
  /** Address in the console. */
  readonly href: string;
  /** Prints the same, or mends it. */
  readonly command?: string;
}

export interface NamespacesAnswer {
  readonly generatedAt: string;
  readonly namespaces: readonly NamespaceRow[];
}

export interface NamespaceRow {
  readonly name: string;
  readonly isEnrolled: boolean;
  readonly waypoint: string;
  readonly workloads: number;
  readonly health: Health;
  readonly inbound: Traffic;
  readonly p95Ms?: number;
  /** Share of what was seen under mutual TLS; absent without traffic. */
  readonly mtls?: number;
  readonly mtlsMode: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'MIXED';
  readonly findings: number;
  /** Requests a second, 30 points of the last minutes. */
  readonly spark: readonly (number | null)[];
}

/** What the store says of one node: rows of lists are made of it and of the mesh. */
export interface NodeTraffic {
  readonly health: Health;
  readonly inbound: Traffic;
  readonly outbound: Traffic;
  readonly p95Ms?: number;
  /** Share of what came in under mutual TLS; absent without traffic. */
  readonly mtls?: number;
  /** Requests or connections a second that came in: 30 points of the last minutes, null where nothing was reported. */
  readonly spark: readonly (number | null)[];
}

export interface WorkloadsAnswer {
  readonly generatedAt: string;
  readonly workloads: readonly WorkloadRow[];
}

export interface WorkloadRow {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly kind: string;
  readonly app: string;
  readonly versions: readonly string[];
  readonly replicas: { readonly ready: number; readonly desired: number };
  readonly isCaptured: boolean;
  /** Why not, in words. */
  readonly notCaptured: string;
  readonly waypoint: string;
  readonly identity: string;
  readonly health: Health;
  readonly inbound: Traffic;
  readonly outbound: Traffic;
  readonly p95Ms?: number;
}

export interface WorkloadAnswer extends WorkloadRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly pods: readonly PodRow[];
  readonly services: readonly string[];
  /** The workload and its neighbours. */
  readonly graph: { readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] };
  /** Who may call it: in the order in which they are judged. */
  readonly policies: readonly AppliedConfig[];
  /** Everything else that changes what it does, in order of effect. */
  readonly config: readonly AppliedConfig[];
  readonly certificates: readonly CertificateRow[];
  readonly findings: readonly Finding[];
}

export interface PodRow {
  readonly name: string;
  readonly node: string;
  readonly ip: string;
  readonly phase: string;
  readonly isReady: boolean;
  readonly isCaptured: boolean;
  readonly restarts: number;
  readonly startedAt: string;
}

export interface AppliedConfig {
  /** `Kind namespace/name`. */
  readonly resource: string;
  /** What it does here, in one line. */
  readonly effect: string;
  readonly findings: number;
}

export interface ServicesAnswer {
  readonly generatedAt: string;
  readonly services: readonly ServiceRow[];
}

export interface ServiceRow {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly kind: 'Service' | 'ServiceEntry';
  readonly addresses: readonly string[];
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
  }[];
  readonly endpoints: { readonly ready: number; readonly total: number; readonly ejected: number };
  readonly waypoint: string;
  readonly health: Health;
  readonly inbound: Traffic;
  readonly p95Ms?: number;
  readonly findings: number;
}

export interface ServiceAnswer extends ServiceRow {
  readonly graph: { readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] };
  readonly workloads: readonly string[];
  readonly endpointRows: readonly EndpointRow[];
  readonly config: readonly AppliedConfig[];
  readonly policies: readonly AppliedConfig[];
  readonly findingRows: readonly Finding[];
}

export interface EndpointRow {
  readonly address: string;
  readonly workload: string;
  readonly version: string;
  readonly locality: string;
  readonly health: 'healthy' | 'unhealthy' | 'draining' | 'ejected';
  readonly detail: string;
}

export interface AppsAnswer {
  readonly generatedAt: string;
  readonly apps: readonly AppRow[];
}

export interface AppRow {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly versions: readonly string[];
  readonly workloads: readonly string[];
  readonly health: Health;
  readonly inbound: Traffic;
  readonly outbound: Traffic;
  readonly p95Ms?: number;
}

export interface AppAnswer extends AppRow {
  readonly graph: { readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] };
  readonly workloadRows: readonly WorkloadRow[];
  readonly services: readonly string[];
}

/** GET /api/v1/logs/{namespace}/{pod}?container=&sinceSeconds=&limit=: the pod's lines and the mesh's own records about it, by time. */
export interface LogsAnswer {
  readonly lines: readonly LogLine[];
  /** Older ones were left out. */
  readonly isCut: boolean;
  /** Why lines of the application are missing. */
  readonly notice?: string;
}

export interface LogLine {
  readonly at: string;
  readonly from: 'application' | 'mesh' | 'span';
  readonly text: string;
  readonly container?: string;
  readonly traceId?: string;
}
