/** Writes Kubernetes Events; a repeat raises the count of the one that is there. Losing an event loses no work. */
import { type Clock, rfc3339 } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { EVENT_MESSAGE_BYTES_MAX } from '../limits.ts';

export interface EventNote {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

interface Recorded {
  name: string;
  count: number;
}

export class EventRecorder {
  readonly #deps: { client: KubeClient; clock: Clock; log: Logger };
  readonly #known = new Map<string, Recorded>();
  #number = 0;

  constructor(deps: { client: KubeClient; clock: Clock; log: Logger }) {
    this.#deps = deps;
  }

  record(about: KubeObject, node: string, note: EventNote): void {
    void this.#write(about, node, note).catch((error: unknown) =>
      this.#deps.log.debug('event not written', { reason: messageOf(error) }),
    );
  }

  /** Called when the object is gone: its events are no longer counted on. */
  forget(about: KubeObject): void {
    for (const key of this.#known.keys())
      if (key.startsWith(`${about.metadata.uid} `)) this.#known.delete(key);
  }

  async #write(about: KubeObject, node: string, note: EventNote): Promise<void> {
    const { client, clock } = this.#deps;
    const { namespace = 'default', name, uid } = about.metadata;
    const now = rfc3339(clock, 's');
    const key = `${uid} ${note.reason} ${note.message}`;
    const known = this.#known.get(key);
    if (known !== undefined) {
      known.count++;
      const body = { count: known.count, lastTimestamp: now };
      await client.patch(
        RESOURCES.events,
        { namespace, name: known.name },
        { type: 'merge', body },
      );
      return;
    }
    const recorded: Recorded = {
      name: `${name}.${(++this.#number).toString(16).padStart(8, '0')}${clock.wallTime().toString(16)}`,
      count: 1,
    };
    this.#known.set(key, recorded);
    await client.create(RESOURCES.events, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace, name: recorded.name },
      involvedObject: { apiVersion: about.apiVersion, kind: about.kind, namespace, name, uid },
      type: note.type,
      reason: note.reason,
      message: note.message.slice(0, EVENT_MESSAGE_BYTES_MAX),
      source: { component: 'kubelet', host: node },
      reportingComponent: 'kubelet',
      reportingInstance: node,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    } as KubeObject);
  }
}
