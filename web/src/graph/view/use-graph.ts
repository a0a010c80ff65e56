/** The graph of the moment: live by events, else as it was. Events that stop leave the last picture, with its age. */
import { useLayoutEffect, useMemo, useState } from 'react';
import type { GraphAnswer } from '#console/api/graph.ts';
import type { ApiError } from '../../store/api.ts';
import { now } from '../../store/clock.ts';
import { type Query, useQuery } from '../../store/query.ts';
import type { Scope } from '../../store/scope-of.ts';
import { eventsAddress, graphAddress } from '../live/asked.ts';
import { type BegunGraph, followGraph } from '../live/client.ts';
import type { FarView } from '../live/far-view.ts';
import type { StreamState } from '../live/messages.ts';
import { withDelta } from '../snapshot.ts';
import type { GraphViewOptions } from './options-of.ts';

/** A large graph is shown anew less often: it takes longer than it is worth. */
const LARGE_EDGES = 4000;
const LARGE_REFRESH_MS = 5000;

export interface LiveGraph {
  readonly graph: GraphAnswer | undefined;
  /** Until the graph is there. */
  readonly begun: BegunGraph | undefined;
  /** Of exactly this graph, made beforehand. */
  readonly far: FarView | undefined;
  readonly error: ApiError | undefined;
  readonly isLost: boolean;
  readonly fetchedAt: number;
  readonly reload: () => void;
}

/** Asked instead of events while those do not come. */
const POLL_MS = 3000;

export function useGraph(scope: Scope, options: GraphViewOptions): LiveGraph {
  const live = useLive(eventsAddress(scope, options));
  const isAsked = !scope.isLive || live.state === 'lost';
  const asked: Query<GraphAnswer> = useQuery(isAsked ? graphAddress(scope, options) : undefined, {
    refreshMs: scope.isLive ? POLL_MS : 0,
  });
  const isNewer = asked.data !== undefined && asked.fetchedAt > live.fetchedAt;
  const isEvents = scope.isLive && live.graph !== undefined && !(isAsked && isNewer);
  return {
    graph: isEvents ? live.graph : asked.data,
    begun: live.begun,
    far: isEvents ? live.far : undefined,
    error: live.graph === undefined ? asked.error : undefined,
    isLost: scope.isLive && live.state === 'lost' && asked.error !== undefined,
    fetchedAt: isEvents ? live.fetchedAt : asked.fetchedAt,
    reload: asked.reload,
  };
}

interface Live {
  readonly graph: GraphAnswer | undefined;
  readonly begun: BegunGraph | undefined;
  readonly far: FarView | undefined;
  readonly state: StreamState;
  readonly fetchedAt: number;
}

const NOTHING: Live = {
  graph: undefined,
  begun: undefined,
  far: undefined,
  state: 'connecting',
  fetchedAt: 0,
};

function useLive(streamAddress: string | undefined): Live {
  const [live, setLive] = useState<Live & { readonly of?: string }>(NOTHING);
  // What came before there was a page is shown in its first frame.
  useLayoutEffect(() => {
    if (streamAddress === undefined) return;
    let graph: GraphAnswer | undefined;
    let shownAt = 0;
    const show = (far?: FarView) => {
      const isLarge = (graph?.edges.length ?? 0) > LARGE_EDGES;
      if (isLarge && now() - shownAt < LARGE_REFRESH_MS) return;
      shownAt = now();
      const shown = { graph, begun: undefined, far, fetchedAt: shownAt, of: streamAddress };
      setLive((before) => ({ ...before, ...shown }));
    };
    return followGraph(streamAddress, {
      onBegun: (begun) => setLive(({ state }) => ({ ...NOTHING, state, begun, of: streamAddress })),
      onGraph: (whole, far) => {
        graph = whole;
        show(far);
      },
      onDelta: (delta) => {
        if (graph === undefined) return;
        graph = withDelta(graph, delta);
        show();
      },
      onState: (state) => setLive((before) => ({ ...before, state })),
    });
  }, [streamAddress]);
  return useMemo(
    () => (live.of === streamAddress ? live : { ...NOTHING, state: live.state }),
    [live, streamAddress],
  );
}
