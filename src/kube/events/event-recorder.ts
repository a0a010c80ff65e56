/**
 * Writes Events on objects, one at a time and a bounded number of them. Losing one loses no work: nothing waits for it, a full
 * queue drops the newest, and what the API refuses is told once in the log.
 */
import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { KubeClient } from '../client/kube-client.ts';
import { RESOURCES } from '../client/resources.ts';
import { EVENTS_WAITING_MAX } from '../limits.ts';
import { EventBudget } from './event-budget.ts';
import type { EventNote, EventObject, EventTarget } from './event-note.ts';
import { bounded, eventName, eventObject, targetKey } from './event-note.ts';

export interface EventRecorder {
  /** Returns at once. */
  record(target: EventTarget, note: EventNote): void;
  /** Nothing is written after it. */
  stop(): void;
}

export interface EventRecorderOptions {
  /** Who says it, as `kubectl describe` shows it: `tulle-control`. */
  readonly component: string;
  /** Our pod's name. */
  readonly instance: string;
}

export function createEventRecorder(
  deps: { client: KubeClient; clock: Clock; log: Logger },
  options: EventRecorderOptions,
): EventRecorder {
  const { client, clock } = deps;
  const log = deps.log.child('events');
  const { component } = options;
  const budget = new EventBudget();
  const waiting: EventObject[] = [];
  const told = new Set<string>();
  let isWriting = false;
  let isStopped = false;

  async function write(event: EventObject): Promise<void> {
    const { namespace, name } = event.metadata;
    try {
      await client.create(RESOURCES.events, event, { fieldManager: component });
    } catch (error) {
      if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
      const before = await client.get<EventObject>(RESOURCES.events, { namespace, name });
      const body = {
        count: (before.count ?? 1) + event.count,
        lastTimestamp: event.lastTimestamp,
        reportingInstance: event.reportingInstance,
      };
      const patch = { type: 'merge', body } as const;
      await client.patch(RESOURCES.events, { namespace, name }, patch, { fieldManager: component });
    }
  }

  async function drain(): Promise<void> {
    isWriting = true;
    for (let next = waiting.shift(); next !== undefined && !isStopped; next = waiting.shift()) {
      try {
        await write(next);
      } catch (error) {
        tell(isMeshError(error) ? error.code : 'unknown', messageOf(error));
      }
    }
    isWriting = false;
  }

  /** Each kind of failure once: a missing right would else fill the log. */
  function tell(code: string, reason: string): void {
    if (told.has(code)) return;
    told.add(code);
    log.warn('event not written; further ones of this kind are not reported', { code, reason });
  }

  return {
    record(target, said) {
      if (isStopped) return;
      const note = bounded(said);
      const text = eventName(target, note, component);
      const verdict = budget.take(targetKey(target), text, clock.now());
      if (!verdict.write) return;
      if (waiting.length >= EVENTS_WAITING_MAX) {
        tell('EVENTS_WAITING_MAX', 'the API server is slower than events come');
        return;
      }
      const now = rfc3339(clock, 's');
      waiting.push(eventObject(target, note, { ...options, now, count: verdict.count }));
      if (!isWriting) void drain();
    },
    stop() {
      isStopped = true;
      waiting.length = 0;
    },
  };
}
