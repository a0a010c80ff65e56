import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { ZdsConversation, type ZdsStep } from './zds-conversation.ts';

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

// Written by protoc from the published definitions.
const ADD = hex('0a15 0a027531 120f 0a03776562 120473686f70 1a027361');
const ADD_WITHOUT_INFO = hex('0a04 0a027531');
const ADD_WITHOUT_ACCOUNT = hex('0a11 0a027531 120b 0a03776562 120473686f70');
const KEEP = hex('2a04 0a027532');
const DEL = hex('1204 12027531');
const SNAPSHOT = hex('1a00');

const POD = { uid: 'u1', name: 'web', namespace: 'shop', serviceAccount: 'sa' };

/** Each message with the descriptors that came with it. */
function steps(...messages: [bytes: Uint8Array, descriptors: number][]): ZdsStep[] {
  const conversation = new ZdsConversation();
  return messages.map(([bytes, descriptors]) => conversation.next(bytes, descriptors));
}

describe('ZdsConversation', () => {
  test('tells the pods, then who is left, then changes', () => {
    expect(steps([ADD, 1], [KEEP, 0], [SNAPSHOT, 0], [DEL, 0], [ADD, 1])).toEqual([
      { kind: 'add', pod: POD },
      { kind: 'keep', uid: 'u2' },
      { kind: 'snapshot', uids: new Set(['u1', 'u2']) },
      { kind: 'del', uid: 'u1' },
      { kind: 'add', pod: POD },
    ]);
  });

  test('a pod that goes before the snapshot is not in it', () => {
    expect(steps([ADD, 1], [DEL, 0], [SNAPSHOT, 0]).at(-1)).toEqual({
      kind: 'snapshot',
      uids: new Set(),
    });
  });

  test('a pod that names no account runs as default', () => {
    expect(steps([ADD_WITHOUT_ACCOUNT, 1])).toEqual([
      { kind: 'add', pod: { ...POD, serviceAccount: 'default' } },
    ]);
  });

  const rows: { title: string; messages: [Uint8Array, number][]; want: string }[] = [
    { title: 'an added pod without namespace', messages: [[ADD, 0]], want: '0 descriptors, not 1' },
    { title: 'an added pod with two', messages: [[ADD, 2]], want: '2 descriptors, not 1' },
    { title: 'a namespace with anything else', messages: [[DEL, 1]], want: '1 descriptors, not 0' },
    {
      title: 'an added pod without workload_info',
      messages: [[ADD_WITHOUT_INFO, 1]],
      want: 'workload u1 without workload_info',
    },
    {
      title: 'KeepWorkload after the snapshot',
      messages: [
        [SNAPSHOT, 0],
        [KEEP, 0],
      ],
      want: 'KeepWorkload after the snapshot',
    },
    {
      title: 'a second snapshot',
      messages: [
        [SNAPSHOT, 0],
        [SNAPSHOT, 0],
      ],
      want: 'a second SnapshotSent',
    },
    { title: 'a message of a later version', messages: [[hex('3a00'), 0]], want: 'not known' },
    { title: 'bytes that are no message', messages: [[hex('0aff'), 0]], want: 'malformed' },
  ];
  for (const { title, messages, want } of rows) {
    test(`does not take ${title}`, () => {
      expect(steps(...messages).at(-1)).toEqual({
        kind: 'violation',
        reason: expect.stringContaining(want),
      });
    });
  }

  test('answers any bytes with a step', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 2 }))),
        (all) => {
          const conversation = new ZdsConversation();
          for (const [bytes, descriptors] of all) {
            expect(conversation.next(bytes, descriptors).kind).toBeString();
          }
        },
      ),
    );
  });
});
