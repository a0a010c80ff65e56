import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { EventReader, type StreamEvent } from './event-reader.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (text: string): StreamEvent[] => new EventReader().push(bytes(text));

describe('EventReader', () => {
  const ROWS = [
    {
      title: 'an event with its name',
      text: 'event: graph\ndata: {"a":1}\n\n',
      want: [{ name: 'graph', data: '{"a":1}' }],
    },
    { title: 'one without a name', text: 'data:x\n\n', want: [{ name: 'message', data: 'x' }] },
    {
      title: 'several lines of data',
      text: 'data: a\ndata: b\n\n',
      want: [{ name: 'message', data: 'a\nb' }],
    },
    {
      title: 'lines that end as in Windows',
      text: 'event: delta\r\ndata: 1\r\n\r\n',
      want: [{ name: 'delta', data: '1' }],
    },
    { title: 'no comment, and no event without data', text: ': \n\nevent: graph\n\n', want: [] },
    { title: 'nothing that has not ended', text: 'event: graph\ndata: 1\n', want: [] },
    {
      title: 'a name for one event only',
      text: 'event: graph\ndata: 1\n\ndata: 2\n\n',
      want: [
        { name: 'graph', data: '1' },
        { name: 'message', data: '2' },
      ],
    },
    {
      title: 'fields that it does not know',
      text: 'id: 7\nretry: 3\nnonsense\ndata: 1\n\n',
      want: [{ name: 'message', data: '1' }],
    },
  ] as const;
  for (const { title, text, want } of ROWS)
    test(`reads ${title}`, () => expect(read(text)).toEqual([...want]));

  test('reads the same in any pieces', () => {
    const text = 'event: graph\ndata: {"name":"žluť →"}\n\n: \n\nevent: delta\ndata: 2\n\n';
    const whole = bytes(text);
    const want = read(text);
    expect(want).toHaveLength(2);
    fc.assert(
      fc.property(fc.array(fc.nat({ max: whole.length })), (cuts) => {
        const reader = new EventReader();
        const at = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
        const events = at
          .slice(1)
          .flatMap((end, index) => reader.push(whole.slice(at[index], end)));
        expect(events).toEqual(want);
      }),
    );
  });
});
