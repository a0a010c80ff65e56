import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { decodeProtobufObject, ProtobufError } from './decode.ts';

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}
const bytesField = (number: number, content: number[] | string) => {
  const bytes = typeof content === 'string' ? [...Buffer.from(content)] : content;
  return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
};
const numberField = (number: number, value: number) => [...varint(number * 8), ...varint(value)];

function envelope(apiVersion: string, kind: string, raw: number[]): Uint8Array {
  const type = [...bytesField(1, apiVersion), ...bytesField(2, kind)];
  return Uint8Array.from([...Buffer.from('k8s\0'), ...bytesField(1, type), ...bytesField(2, raw)]);
}

describe('decodeProtobufObject', () => {
  test('reads maps, bytes, times and embedded members as JSON spells them', () => {
    const labels = bytesField(11, [...bytesField(1, 'app'), ...bytesField(2, 'web')]);
    const created = bytesField(8, numberField(1, 1_700_000_000));
    const meta = bytesField(1, [
      ...bytesField(1, 'x'),
      ...bytesField(3, ''),
      ...created,
      ...labels,
    ]);
    const data = bytesField(2, [...bytesField(1, 'key'), ...bytesField(2, [0, 255])]);
    expect(decodeProtobufObject(envelope('v1', 'Secret', [...meta, ...data]))).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'x', creationTimestamp: '2023-11-14T22:13:20Z', labels: { app: 'web' } },
      data: { key: 'AP8=' },
    });
    const volume = [...bytesField(1, 'v'), ...bytesField(2, bytesField(2, []))];
    const pod = decodeProtobufObject(envelope('v1', 'Pod', bytesField(2, bytesField(1, volume))));
    expect(pod.spec).toEqual({ volumes: [{ name: 'v', emptyDir: {} }] });
  });

  test('keeps a zero that was meant, drops one that Go wrote by itself', () => {
    const spec = [...numberField(1, 0), ...numberField(5, 0)]; // replicas, minReadySeconds
    const deployment = decodeProtobufObject(envelope('apps/v1', 'Deployment', bytesField(2, spec)));
    expect(deployment.spec).toEqual({ replicas: 0 });
  });

  const refused: [title: string, bytes: Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['another beginning', Uint8Array.from(Buffer.from('{"kind":"Pod"}'))],
    ['a kind without a table', envelope('example.com/v1', 'Thing', [])],
    ['a field cut off', envelope('v1', 'Pod', [10, 50, 1])],
    ['a number without end', envelope('v1', 'Pod', Array(12).fill(255))],
    ['another wire type than the field has', envelope('v1', 'Pod', numberField(1, 7))],
    [
      'a time out of range',
      envelope('v1', 'Pod', bytesField(1, bytesField(8, numberField(1, 2 ** 50)))),
    ],
  ];
  for (const [title, bytes] of refused)
    test(`refuses ${title}`, () => {
      expect(() => decodeProtobufObject(bytes)).toThrow(ProtobufError);
    });

  test('no bytes make it throw anything else', () => {
    const kind = fc.constantFrom('Pod', 'Service', 'Event', 'Secret');
    fc.assert(
      fc.property(kind, fc.uint8Array({ maxLength: 200 }), (name, raw) => {
        try {
          decodeProtobufObject(envelope('v1', name, [...raw]));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtobufError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
