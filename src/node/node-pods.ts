/** Where the pods of a node come from: our own capture agent, or an outside one. */
import type { CniAdd, CniAnswer } from '#redirect/cni-server.ts';
import type { WorkloadProxy } from './workload/workload-proxy.ts';

export interface NodePods {
  readonly proxies: readonly WorkloadProxy[];
  /** What is still to come before all pods of the node are served; undefined when they are. */
  missing(): string | undefined;
  /** Answers our CNI plugin; rejects when the pod must not start. */
  add(add: CniAdd): Promise<CniAnswer>;
  /** What others look after from now on is theirs. */
  leave(): void;
  stop(): void;
}
