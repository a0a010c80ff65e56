/** One workload, service or app with everything that is about it. Pure. */
import type { Finding } from '../api/config.ts';
import type { GraphAnswer } from '../api/graph.ts';
import type { AppAnswer, ServiceAnswer, WorkloadAnswer } from '../api/lists.ts';
import type { CertificateRow } from '../api/mesh.ts';
import type { MeshView, ServiceView, WorkloadView } from '../mesh-view.ts';
import { appliedTo, subjectOfService, subjectOfWorkload } from './applied.ts';
import { appRows, byName, serviceRow, type TrafficOf, workloadRow } from './rows.ts';

export interface DetailInput {
  readonly mesh: MeshView;
  readonly traffic: TrafficOf;
  /** It and its neighbours. */
  readonly graph: GraphAnswer;
  readonly rootNamespace: string;
}

export function workloadAnswer(view: WorkloadView, input: DetailInput): WorkloadAnswer {
  const { mesh, traffic, graph, rootNamespace } = input;
  const findings = mesh.findings();
  const applied = appliedTo(subjectOfWorkload(view, mesh), {
    objects: mesh.config(),
    findings,
    rootNamespace,
  });
  return {
    ...workloadRow(view, traffic),
    labels: view.labels,
    pods: view.pods(),
    services: view.services,
    graph: { nodes: graph.nodes, edges: graph.edges },
    ...applied,
    certificates: mesh.certificates().certificates.filter((row) => isOf(row, view)),
    findings: findingsAbout(applied, findings),
  };
}

function isOf({ principal }: CertificateRow, { identity }: WorkloadView): boolean {
  return (
    identity !== '' &&
    (principal === identity || principal === identity.replace(/^spiffe:\/\//, ''))
  );
}

export function serviceAnswer(view: ServiceView, input: DetailInput): ServiceAnswer {
  const { mesh, traffic, graph, rootNamespace } = input;
  const findings = mesh.findings();
  const applied = appliedTo(subjectOfService(view), {
    objects: mesh.config(),
    findings,
    rootNamespace,
  });
  return {
    ...serviceRow(view, traffic, findings),
    graph: { nodes: graph.nodes, edges: graph.edges },
    workloads: view.workloads,
    endpointRows: view.endpoints(),
    ...applied,
    findingRows: findingsAbout(applied, findings),
  };
}

/** Undefined: no workload has that app label. */
export function appAnswer(
  namespace: string,
  name: string,
  input: DetailInput,
): AppAnswer | undefined {
  const { mesh, traffic, graph } = input;
  const own = [...mesh.workloads()].filter(
    (each) => each.namespace === namespace && each.app === name,
  );
  const [row] = appRows(own, traffic);
  if (row === undefined) return undefined;
  return {
    ...row,
    graph: { nodes: graph.nodes, edges: graph.edges },
    workloadRows: byName(own.map((view) => workloadRow(view, traffic))),
    services: [...new Set(own.flatMap(({ services }) => services))].sort(),
  };
}

function findingsAbout(
  { policies, config }: ReturnType<typeof appliedTo>,
  findings: readonly Finding[],
): Finding[] {
  const resources = new Set([...policies, ...config].map(({ resource }) => resource));
  return findings.filter(({ resource }) => resources.has(resource));
}
