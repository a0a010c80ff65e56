import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { RESOURCES } from '../client/resources.ts';
import {
  EVENT_BURST,
  EVENT_MESSAGE_CHARS_MAX,
  EVENT_REFILL_MS,
  EVENT_REPEAT_MS,
  EVENT_TARGETS_MAX,
  EVENTS_WAITING_MAX,
} from '../limits.ts';
import { EventBudget } from './event-budget.ts';
import type { EventNote, EventObject, EventTarget } from './event-note.ts';
import { bounded, eventName, eventObject } from './event-note.ts';
import { createEventRecorder } from './event-recorder.ts';

const GATEWAY: EventTarget = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  namespace: 'shop',
  name: 'edge',
  uid: 'u-1',
};
const NOTE: EventNote = { type: 'Normal', reason: 'Programmed', message: 'served at 10.0.0.1' };
const COMPONENT = 'tulle-control';

describe('eventName', () => {
  test('is the same for the same words about the same object, and another for any difference', () => {
    const name = eventName(GATEWAY, NOTE, COMPONENT);
    expect(eventName({ ...GATEWAY }, { ...NOTE }, COMPONENT)).toBe(name);
    const others = [
      eventName({ ...GATEWAY, uid: 'u-2' }, NOTE, COMPONENT),
      eventName({ ...GATEWAY, namespace: 'other' }, NOTE, COMPONENT),
      eventName(GATEWAY, { ...NOTE, message: 'served at 10.0.0.2' }, COMPONENT),
      eventName(GATEWAY, { ...NOTE, type: 'Warning' }, COMPONENT),
      eventName(GATEWAY, NOTE, 'tulle-node'),
    ];
    expect(new Set([name, ...others]).size).toBe(6);
  });

  test('is a name that the API takes, however long the object’s is', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/), (name) => {
        const made = eventName({ ...GATEWAY, name }, NOTE, COMPONENT);
        expect(made.length).toBeLessThanOrEqual(253);
        expect(made).toMatch(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/);
        expect(made).not.toMatch(/[.-]{2}[0-9a-f]{16}$/);
      }),
    );
  });
});

describe('eventObject', () => {
  test('keeps Events of cluster objects in default, and cuts long messages', () => {
    const note = bounded({ ...NOTE, message: 'x'.repeat(2_000) });
    expect(note.message).toHaveLength(EVENT_MESSAGE_CHARS_MAX);
    const by = { component: COMPONENT, instance: 'istiod-1', now: 'T', count: 3 };
    const event = eventObject({ ...GATEWAY, kind: 'GatewayClass', namespace: undefined }, note, by);
    expect(event.metadata.namespace).toBe('default');
    expect(event).toMatchObject({ count: 3, source: { component: COMPONENT }, type: 'Normal' });
  });
});

describe('EventBudget', () => {
  test('holds back repeats, and tells how many with the next one', () => {
    const budget = new EventBudget();
    expect(budget.take('a', 'x', 0)).toEqual({ write: true, count: 1 });
    expect(budget.take('a', 'x', 10)).toEqual({ write: false });
    expect(budget.take('a', 'x', 20)).toEqual({ write: false });
    expect(budget.take('a', 'x', EVENT_REPEAT_MS)).toEqual({ write: true, count: 3 });
  });

  test('lets one object say so much at once, then so much in a time; others are not touched', () => {
    const budget = new EventBudget();
    const taken = (from: number, nowMs: number) =>
      Array.from({ length: 100 }, (_, index) => budget.take('a', `${from + index}`, nowMs)).filter(
        ({ write }) => write,
      ).length;
    expect(taken(0, 0)).toBe(EVENT_BURST);
    expect(budget.take('b', 'x', 0)).toEqual({ write: true, count: 1 });
    expect(taken(100, EVENT_REFILL_MS)).toBe(1);
    expect(taken(200, EVENT_REFILL_MS * 1_000)).toBe(EVENT_BURST);
  });

  test('remembers a bounded number of objects', () => {
    const budget = new EventBudget();
    for (let index = 0; index < EVENT_TARGETS_MAX + 10; index++) budget.take(`${index}`, 'x', 0);
    expect(budget.size).toBe(EVENT_TARGETS_MAX);
  });
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
}

describe('createEventRecorder', () => {
  const setup = () => {
    const client = new FakeKubeClient();
    const clock = new FakeClock();
    const recorder = (instance: string) =>
      createEventRecorder({ client, clock, log: silentLogger }, { component: COMPONENT, instance });
    const read = async () => (await client.list<EventObject>(RESOURCES.events)).items;
    return { client, clock, recorder, read };
  };

  test('counts what another replica, or an earlier process, said already', async () => {
    const { clock, recorder, read } = setup();
    recorder('one').record(GATEWAY, NOTE);
    await settle();
    clock.advance(1_000);
    recorder('two').record(GATEWAY, NOTE);
    await settle();
    const [event, ...more] = await read();
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      count: 2,
      reason: 'Programmed',
      involvedObject: { kind: 'Gateway', name: 'edge', uid: 'u-1' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:01Z',
      reportingInstance: 'two',
    });
  });

  test('goes on after a failure, and drops what does not fit its queue', async () => {
    const { client, recorder, read } = setup();
    const { record } = recorder('one');
    client.failures = 1;
    for (let index = 0; index < EVENTS_WAITING_MAX + 50; index++)
      record({ ...GATEWAY, name: `g-${index}`, uid: `${index}` }, NOTE);
    for (let round = 0; round < 200; round++) await settle();
    // The first one is lost to the failure; it was already being written when the queue filled.
    expect(await read()).toHaveLength(EVENTS_WAITING_MAX);
  });

  test('writes nothing after stop', async () => {
    const { recorder, read } = setup();
    const events = recorder('one');
    events.stop();
    events.record(GATEWAY, NOTE);
    await settle();
    expect(await read()).toEqual([]);
  });
});
