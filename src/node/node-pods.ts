/** Where the pods of a node come from: our own capture agent, or an outside one. */
import type { CniAdd, CniAnswer } from '#redirect/cni-server.ts';
import type { WorkloadProxy } from './workload/workload-proxy.ts';

export interface NodePods {
  readonly proxies: readonly WorkloadProxy[];
  /** What is still to come before all pods of the node are served; undefined when they are. */
  missing(): string | undefined;
  /** Answers our CNI plugin; rejects when the pod must not start. */
  add(add: CniAdd): Promise<CniAnswer>;
  /** Rejects when a pod that was added is not as it should be. */
  check(add: CniAdd): Promise<CniAnswer>;
  /** Every pod leaves the mesh; connections that run have the time that is left to this process. */
  releaseAll(): void;
  /** What others look after from now on is theirs. */
  leave(): void;
  stop(): void;
}
