/** Addresses of the graph that a view asks for. Pure: the start script asks before the rest of the console is there. */
import { address } from '../../store/api.ts';
import { type Scope, scopeOf } from '../../store/scope-of.ts';
import { type GraphViewOptions, optionsOf } from '../view/options-of.ts';

/** As it is, or was at a moment. */
export function graphAddress(scope: Scope, options: GraphViewOptions, at = scope.at): string {
  return address('graph', members(scope, options, at));
}

/** Its live stream; undefined for a moment that is over. */
export function eventsAddress(scope: Scope, options: GraphViewOptions): string | undefined {
  if (!scope.isLive) return undefined;
  return address('graph/events', { ...members(scope, options, undefined), form: 'table' });
}

/** That of a page's address. */
export function eventsAddressOf(query: URLSearchParams): string | undefined {
  return eventsAddress(scopeOf(query), optionsOf(query));
}

function members(scope: Scope, options: GraphViewOptions, at: string | undefined) {
  return {
    ...scope.query,
    at,
    type: options.type,
    focus: options.focus,
    idle: options.hasIdle ? 'true' : undefined,
    waypoints: options.hasWaypoints ? 'true' : undefined,
  };
}
