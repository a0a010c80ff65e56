/** Whose traffic a connection is, before anything is decided: discovery may tell of a pod a moment after its first connection. */
import { MeshError } from '#base/errors.ts';
import type { Workload } from '#model/workload/workload.ts';
import { NODE_ERRORS } from '../errors.ts';
import { WORKLOAD_WAIT_MS } from '../limits.ts';
import type { NodeContext, PodIdentity } from './context.ts';
import type { Session } from './session.ts';

/** What goes on when its workload is known. */
export interface Flow {
  readonly session: Session;
  onWorkload(workload: Workload): void;
}

interface Place {
  readonly context: NodeContext;
  readonly pod: PodIdentity;
}

export function awaitWorkload(place: Place, flow: Flow): void {
  const known = place.context.state.current.servedBy(place.pod);
  if (known === undefined) waitFor(place, flow);
  else flow.onWorkload(known);
}

function waitFor({ context, pod }: Place, flow: Flow): void {
  context.state.waitFor(
    (snapshot) => snapshot.servedBy(pod),
    { clock: context.clock, timeoutMs: WORKLOAD_WAIT_MS },
    (workload) => {
      if (flow.session.over) return;
      if (workload === undefined) flow.session.refuse(unknownWorkload(pod));
      else flow.onWorkload(workload);
    },
  );
}

function unknownWorkload(pod: PodIdentity): MeshError {
  const message = `unknown workload ${pod.namespace}/${pod.name}`;
  const hint = NODE_ERRORS.NODE_WORKLOAD_UNKNOWN;
  return new MeshError('NODE_WORKLOAD_UNKNOWN', message, { side: 'self', hint });
}
