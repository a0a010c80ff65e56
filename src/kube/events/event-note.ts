/**
 * What an Event says, and under which name it is stored. The name is made of what is said about which object, so that a repeat
 * finds the Event that is there and counts it, whichever replica and whichever process says it. Pure.
 */
import type { KubeObject } from '../client/kube-client.ts';
import { EVENT_MESSAGE_CHARS_MAX } from '../limits.ts';

/** The object that an Event is about. Without a uid `kubectl describe` finds it all the same, by name. */
export interface EventTarget {
  readonly apiVersion: string;
  readonly kind: string;
  /** Undefined for objects of the cluster: their Events are kept in `default`, as client-go does. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly uid: string | undefined;
}

export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  /** One word in upper camel case, as `kubectl get events` groups by it. */
  readonly reason: string;
  readonly message: string;
}

/** core/v1 Event, the part that is written. */
export interface EventObject extends KubeObject {
  readonly involvedObject: object;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly source: { readonly component: string };
  readonly reportingComponent: string;
  readonly reportingInstance: string;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly count: number;
}

export function targetOf({ apiVersion, kind, metadata }: KubeObject): EventTarget {
  const { namespace, name, uid } = metadata;
  return { apiVersion, kind, namespace, name, uid };
}

/** Everything of one object. */
export function targetKey({ kind, namespace, name, uid }: EventTarget): string {
  return `${kind} ${namespace ?? ''}/${name} ${uid ?? ''}`;
}

export function eventNamespace({ namespace }: EventTarget): string {
  return namespace ?? 'default';
}

/** Names of objects may have 253 characters; an Event's name is the object's, a dot and 16 digits. */
const TARGET_NAME_CHARS_MAX = 253 - 17;

export function eventName(target: EventTarget, note: EventNote, component: string): string {
  const said = JSON.stringify([component, targetKey(target), note.type, note.reason, note.message]);
  const hash = Bun.hash.xxHash64(said).toString(16).padStart(16, '0');
  return `${target.name.slice(0, TARGET_NAME_CHARS_MAX).replace(/[.-]+$/, '')}.${hash}`;
}

/** Long messages are cut: the API refuses more than 1024 characters. */
export function bounded(note: EventNote): EventNote {
  const { message } = note;
  if (message.length <= EVENT_MESSAGE_CHARS_MAX) return note;
  return { ...note, message: `${message.slice(0, EVENT_MESSAGE_CHARS_MAX - 1)}…` };
}

export function eventObject(
  target: EventTarget,
  note: EventNote,
  by: { component: string; instance: string; now: string; count: number },
): EventObject {
  const { component, instance, now, count } = by;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: eventName(target, note, component), namespace: eventNamespace(target) },
    involvedObject: { ...target },
    ...note,
    source: { component },
    reportingComponent: component,
    reportingInstance: instance,
    firstTimestamp: now,
    lastTimestamp: now,
    count,
  };
}
