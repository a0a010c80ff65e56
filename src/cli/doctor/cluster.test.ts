import { describe, expect, test } from 'bun:test';
import type { Node } from '#kube/client/kinds.ts';
import { type ClusterFacts, judgeCluster } from './cluster.ts';

function node(name: string, info: Record<string, string> = {}, ready = 'True'): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: {
      conditions: [{ type: 'Ready', status: ready }],
      nodeInfo: {
        operatingSystem: 'linux',
        architecture: 'amd64',
        kernelVersion: '6.1.0-18-cloud',
        ...info,
      },
    },
  } as Node;
}

const GOOD: ClusterFacts = {
  version: 'v1.34.4',
  missingRights: [],
  nodes: [node('n1'), node('n2')],
  definitions: [],
  otherMeshes: [],
  platform: undefined,
  installed: undefined,
  namespace: 'istio-system',
  podSecurity: undefined,
  cilium: undefined,
};

interface Row {
  title: string;
  facts: Partial<ClusterFacts>;
  check: string;
  says: string;
  remedy: string;
  canRun?: boolean;
}

const ROWS: Row[] = [
  {
    title: 'an old version',
    facts: { version: 'v1.28.9' },
    check: 'version',
    says: '1.29.0 or newer',
    remedy: 'upgrade the cluster',
  },
  {
    title: 'rights that are missing',
    facts: { missingRights: ['create daemonsets.apps in namespace istio-system', 'list nodes'] },
    check: 'rights',
    says: 'may not create daemonsets.apps in namespace istio-system; list nodes',
    remedy: 'an account that may',
  },
  {
    title: 'no Linux node',
    facts: { nodes: [node('w1', { operatingSystem: 'windows' })] },
    check: 'nodes',
    says: 'no Linux node',
    remedy: 'add one',
  },
  {
    title: 'a processor that no image is for',
    facts: { nodes: [node('n1'), node('p1', { architecture: 'ppc64le' })] },
    check: 'architecture',
    says: 'p1: ppc64le',
    remedy: 'kubernetes.io/arch',
  },
  {
    title: 'two architectures',
    facts: { nodes: [node('n1'), node('a1', { architecture: 'arm64' })] },
    check: 'architecture',
    says: 'amd64 and arm64',
    remedy: 'one index of both',
    canRun: true,
  },
  {
    title: 'one old kernel among many',
    facts: { nodes: [node('n1'), node('old', { kernelVersion: '5.10.0-28-amd64' })] },
    check: 'kernel',
    says: 'the oldest, on old',
    remedy: 'upgrade the kernel',
  },
  {
    title: 'a node that is not ready',
    facts: { nodes: [node('n1'), node('n2', {}, 'False')] },
    check: 'nodes',
    says: 'not ready: n2',
    remedy: 'kubectl describe node',
    canRun: true,
  },
  {
    title: 'a definition that is too old',
    facts: {
      definitions: [
        { do: 'refuse', name: 'a.b', why: 'serves v1beta1', remedy: 'upgrade the CRDs' },
      ],
    },
    check: 'definitions',
    says: 'a.b: serves v1beta1',
    remedy: 'upgrade the CRDs',
  },
  {
    title: 'a definition that is not there',
    facts: { definitions: [{ do: 'leave', name: 'a.b', why: 'bundle v1.2', lost: 'TCPRoute' }] },
    check: 'definitions',
    says: 'TCPRoute will not be served',
    remedy: 'whole bundle',
    canRun: true,
  },
  {
    title: 'another mesh',
    facts: {
      otherMeshes: [
        { name: 'Istio in ambient mode', object: 'DaemonSet x/ztunnel', collides: true },
      ],
    },
    check: 'meshes',
    says: 'both would capture the same pods',
    remedy: 'istioctl uninstall',
    canRun: true,
  },
  {
    title: 'a Cilium that takes other plugins away',
    facts: { cilium: { 'cni-exclusive': 'true' } },
    check: 'network',
    says: 'cni-exclusive',
    remedy: 'cni.exclusive=false',
  },
  {
    title: 'a Cilium that translates in pods',
    facts: { cilium: { 'cni-exclusive': 'false', 'kube-proxy-replacement': 'true' } },
    check: 'network',
    says: 'inside pods',
    remedy: 'socketLB.hostNamespaceOnly=true',
    canRun: true,
  },
  {
    title: 'a namespace that admits no node proxy',
    facts: { podSecurity: 'baseline' },
    check: 'admission',
    says: 'pods of level baseline',
    remedy: 'enforce=privileged',
  },
  {
    title: 'nodes that may not be seen',
    facts: { nodes: { unseen: '403' } },
    check: 'nodes',
    says: '403',
    remedy: 'account that may',
    canRun: true,
  },
];

describe('judgeCluster', () => {
  test('finds nothing wrong with a cluster that has everything', () => {
    const fits = {
      'cni-exclusive': 'false',
      'kube-proxy-replacement': 'true',
      'bpf-lb-sock-hostns-only': 'true',
    };
    const { canRun, findings } = judgeCluster({ ...GOOD, podSecurity: 'privileged', cilium: fits });
    expect(canRun).toBe(true);
    expect(findings.filter(({ level }) => level !== 'ok')).toEqual([]);
  });

  test.each(ROWS)(
    'names $title, with what to do',
    ({ facts, check, says, remedy, canRun = false }) => {
      const answer = judgeCluster({ ...GOOD, ...facts });
      const found = answer.findings.filter(({ level }) => level !== 'ok');
      expect(found.map((finding) => finding.check)).toEqual([check]);
      expect(found[0].message).toContain(says);
      expect(found[0].remedy).toContain(remedy);
      expect(answer.canRun).toBe(canRun);
    },
  );

  test('says what is here already', () => {
    const { findings } = judgeCluster({ ...GOOD, installed: { version: '0.1.0', by: 'Helm' } });
    expect(findings.at(-1)?.message).toBe('Tulle 0.1.0 is here, by Helm');
  });
});
