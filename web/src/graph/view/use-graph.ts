/** The graph of the moment: live by events, else as it was. Events that stop leave the last picture, with its age. */
import { useEffect, useMemo, useState } from 'react';
import type { GraphAnswer, GraphDelta } from '#console/api/graph.ts';
import { type ApiError, address } from '../../store/api.ts';
import { now } from '../../store/clock.ts';
import { type EventsState, openEvents } from '../../store/events.ts';
import { type Query, useQuery } from '../../store/query.ts';
import type { Scope } from '../../store/scope.ts';
import { withDelta } from '../snapshot.ts';
import type { GraphViewOptions } from './options.ts';

/** A large graph is shown anew less often: it takes longer than it is worth. */
const LARGE_EDGES = 4000;
const LARGE_REFRESH_MS = 5000;

export interface LiveGraph {
  readonly graph: GraphAnswer | undefined;
  readonly error: ApiError | undefined;
  readonly isLost: boolean;
  readonly fetchedAt: number;
  readonly reload: () => void;
}

export function graphAddress(scope: Scope, options: GraphViewOptions, at = scope.at): string {
  return address('graph', members(scope, options, at));
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

/** Asked instead of events while those do not come. */
const POLL_MS = 3000;

export function useGraph(scope: Scope, options: GraphViewOptions): LiveGraph {
  const live = useLive(
    scope.isLive ? address('graph/events', members(scope, options, undefined)) : undefined,
  );
  const isAsked = !scope.isLive || live.state === 'lost';
  const asked: Query<GraphAnswer> = useQuery(isAsked ? graphAddress(scope, options) : undefined, {
    refreshMs: scope.isLive ? POLL_MS : 0,
  });
  const isNewer = asked.data !== undefined && asked.fetchedAt > live.fetchedAt;
  const isEvents = scope.isLive && live.graph !== undefined && !(isAsked && isNewer);
  return {
    graph: isEvents ? live.graph : asked.data,
    error: live.graph === undefined ? asked.error : undefined,
    isLost: scope.isLive && live.state === 'lost' && asked.error !== undefined,
    fetchedAt: isEvents ? live.fetchedAt : asked.fetchedAt,
    reload: asked.reload,
  };
}

interface Live {
  readonly graph: GraphAnswer | undefined;
  readonly state: EventsState;
  readonly fetchedAt: number;
}

const NOTHING: Live = { graph: undefined, state: 'connecting', fetchedAt: 0 };

function useLive(eventsAddress: string | undefined): Live {
  const [live, setLive] = useState<Live & { readonly of?: string }>(NOTHING);
  useEffect(() => {
    if (eventsAddress === undefined) return;
    let graph: GraphAnswer | undefined;
    let shownAt = 0;
    const show = () => {
      const isLarge = (graph?.edges.length ?? 0) > LARGE_EDGES;
      if (isLarge && now() - shownAt < LARGE_REFRESH_MS) return;
      shownAt = now();
      setLive((before) => ({ ...before, graph, fetchedAt: shownAt, of: eventsAddress }));
    };
    return openEvents(eventsAddress, {
      on: {
        graph: (whole: GraphAnswer) => {
          graph = whole;
          show();
        },
        delta: (delta: GraphDelta) => {
          if (graph === undefined) return;
          graph = withDelta(graph, delta);
          show();
        },
      },
      onState: (state) => setLive((before) => ({ ...before, state })),
    });
  }, [eventsAddress]);
  return useMemo(
    () => (live.of === eventsAddress ? live : { ...live, graph: undefined }),
    [live, eventsAddress],
  );
}
