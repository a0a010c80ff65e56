/** An end of an edge, out of the label values that metrics have of it. */
import { type PeerLabels, UNKNOWN } from '../metrics/istio.ts';
import type { FlowPeer } from './flow-frame.ts';

/** `outside`: what it is called where no workload is known: a host name, or nothing. */
export function flowPeer(
  labels: PeerLabels,
  { kind = 'workload', outside = '' }: { kind?: FlowPeer['kind']; outside?: string } = {},
): FlowPeer {
  const isKnown = labels.workload !== UNKNOWN && labels.workload !== '';
  return {
    kind: isKnown ? kind : 'external',
    namespace: known(labels.workloadNamespace),
    workload: isKnown ? labels.workload : outside,
    app: known(labels.app),
    version: isKnown ? known(labels.version) : '',
    principal: known(labels.principal),
    cluster: known(labels.cluster),
  };
}

function known(text: string): string {
  return text === UNKNOWN ? '' : text;
}
