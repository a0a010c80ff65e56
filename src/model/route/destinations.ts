/** The weighted destinations of a route, HTTP or not, compiled. */
import type { Provenance, RouteDestination } from './route-table.ts';
import { type CompiledRewrite, compileRewrite } from './transform.ts';

export interface CompiledDestination {
  readonly destination: RouteDestination;
  /** Sum of the weights up to and including this one. */
  readonly weightEnd: number;
  readonly rewrite: CompiledRewrite | undefined;
}

export interface WeightedDestinations {
  readonly destinations: readonly CompiledDestination[];
  readonly weightTotal: number;
}

/** Puts the object and route at fault before what is wrong. */
export function problemsOf(
  { provenance, name }: { readonly provenance: Provenance; readonly name: string },
  onProblem: (problem: string) => void,
): (problem: string) => void {
  const { kind, namespace, name: object } = provenance;
  return (problem) => onProblem(`${kind} ${namespace}/${object}, route ${name}: ${problem}`);
}

/** A single destination takes everything whatever its weight; of several, zero weights drop out. */
export function compileDestinations(
  all: readonly RouteDestination[],
  onProblem: (problem: string) => void,
): WeightedDestinations {
  const used = all.length === 1 ? all : all.filter((destination) => destination.weight > 0);
  let weightTotal = 0;
  const destinations = used.map((destination) => {
    weightTotal += Math.max(destination.weight, all.length === 1 ? 1 : 0);
    const rewrite = compileRewrite(destination.rewrite, onProblem);
    return { destination, weightEnd: weightTotal, rewrite };
  });
  return { destinations, weightTotal };
}
