/**
 * Tells owners of objects what is wrong with them: each finding becomes an Event of its object, once when it appears, with field,
 * reason and remedy. Findings are looked over in intervals: they are told to people.
 */
import type { Disposer } from '#base/disposer.ts';
import type { Collection } from '#collections/collection.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { EventNote, EventTarget } from '#kube/events/event-note.ts';
import { targetOf } from '#kube/events/event-note.ts';
import type { EventRecorder } from '#kube/events/event-recorder.ts';
import { INGESTED } from '../ingest/ingest.ts';
import type { MeshSources } from '../ingest/mesh-graph.ts';
import { FINDING_EVENTS_PERIOD_MS } from '../limits.ts';
import type { ControllerDeps } from './ownership.ts';

export function startFindingEvents(
  deps: ControllerDeps & { readonly events: EventRecorder },
  mesh: { readonly sources: MeshSources; findings(): readonly Finding[] },
): Disposer {
  let told = new Set<string>();
  const look = () => {
    const present = new Set<string>();
    for (const finding of mesh.findings()) {
      const note = noteOf(finding);
      if (note === undefined) continue;
      const key = `${finding.resource} ${note.message}`;
      present.add(key);
      if (told.has(key)) continue;
      const object = objectOf(finding.resource, mesh.sources);
      if (object !== undefined && deps.ownership.owns(object))
        deps.events.record(targetOf(object), note);
    }
    told = present;
  };
  const timer = deps.clock.every(FINDING_EVENTS_PERIOD_MS, look);
  return () => timer.cancel();
}

/** What is for information only is not worth an Event. */
export function noteOf({ level, path, message, hint, code }: Finding): EventNote | undefined {
  if (level === 'info') return undefined;
  const reason = level === 'error' ? 'ConfigurationRefused' : 'ConfigurationIneffective';
  const where = path === '' ? '' : `${path}: `;
  return { type: 'Warning', reason, message: `${where}${message}; ${hint} (${code})` };
}

/** `Kind namespace/name`, as findings name it; undefined when it is gone. */
function objectOf(
  resource: string,
  sources: MeshSources,
): (KubeObject & EventTargetKind) | undefined {
  const [kind, key] = resource.split(' ');
  for (const name of Object.keys(INGESTED) as (keyof MeshSources)[]) {
    if (INGESTED[name].kind !== kind) continue;
    const object = (sources[name] as Collection<KubeObject>).get(key);
    if (object === undefined) continue;
    const { group, version } = INGESTED[name];
    return { ...object, apiVersion: group === '' ? version : `${group}/${version}`, kind };
  }
  return undefined;
}

type EventTargetKind = Pick<EventTarget, 'apiVersion' | 'kind'>;
