/** The lines that print the same in a terminal. Pure. */
import { type Scope, WINDOW_DEFAULT } from '../../store/scope-of.ts';
import type { GraphViewOptions } from './options-of.ts';

export function commandsOf(
  { namespaces, window, at }: Pick<Scope, 'namespaces' | 'window' | 'at'>,
  options: Pick<GraphViewOptions, 'type' | 'focus' | 'hasIdle' | 'hasWaypoints'>,
): readonly string[] {
  const { type, focus, hasIdle, hasWaypoints } = options;
  const flags = [
    ...namespaces.map((namespace) => `-n ${namespace}`),
    ...(type === 'workload' ? [] : [`--type ${type}`]),
    ...(window === WINDOW_DEFAULT ? [] : [`--window ${window}`]),
    ...(at === undefined ? [] : [`--at ${at}`]),
    ...(focus === undefined ? [] : [`--focus ${focus}`]),
    ...(hasIdle ? ['--idle'] : []),
    ...(hasWaypoints ? ['--waypoints'] : []),
  ].map((each) => ` ${each}`);
  return [`tulle graph${flags.join('')}`, `tulle graph${flags.join('')} -o json`];
}
