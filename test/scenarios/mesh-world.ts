/**
 * What a scenario needs of the mesh that it runs on: the lab on one machine, or a real Kubernetes cluster. Scenarios know nothing else
 * of where they run, so each of them can be held against both.
 */
import type { CommandResult } from '#test/support/lab.ts';

export interface MeshWorld {
  /** Of the machines, at least two; clients and servers of the scenarios are on some of them. */
  readonly nodes: readonly string[];
  /** A folder of this test run, for captures. */
  readonly home: string;
  kubectl(...args: string[]): Promise<CommandResult>;
  /** kubectl apply -f - */
  apply(manifest: string): Promise<CommandResult>;
  /** The command line of the product, against this mesh. */
  tulle(...args: string[]): Promise<CommandResult>;
  /** The command that does the same in the network of a node. */
  onNode(node: string, command: readonly string[]): string[];
}
