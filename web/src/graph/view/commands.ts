/** The lines that print the same in a terminal. Pure. */
import type { Scope } from '../../store/scope.ts';
import { WINDOW_DEFAULT } from '../../store/scope.ts';
import type { GraphViewOptions } from './options.ts';

export function commandsOf(
  scope: Scope,
  options: Pick<GraphViewOptions, 'type' | 'hasWaypoints'>,
): readonly string[] {
  const flags = [
    ...(scope.namespaces.length === 1 ? [`-n ${scope.namespaces[0]}`] : []),
    ...(scope.window === WINDOW_DEFAULT ? [] : [`--window ${scope.window}`]),
  ].map((each) => ` ${each}`);
  return [
    `tulle graph${flags.join('')}`,
    `tulle graph${flags.join('')} -o json`,
    ...(options.hasWaypoints ? ['tulle waypoint list'] : []),
  ];
}
