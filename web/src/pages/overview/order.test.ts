import { expect, test } from 'bun:test';
import type { AttentionItem, NamespaceRow } from '#console/api/lists.ts';
import { attentionSentence, byHarm, isQuiet, namespaceOrder } from './order.ts';

const item = (
  severity: AttentionItem['severity'],
  kind: AttentionItem['kind'],
  title: string,
): AttentionItem => ({ severity, kind, title, reason: '', href: '/' });
const items = [
  item('notice', 'certificate', 'c'),
  item('failing', 'workload', 'w'),
  item('failing', 'control', 'x'),
  item('degraded', 'finding', 'f1'),
  item('degraded', 'finding', 'f2'),
];

test('byHarm puts what fails first, the mesh itself before what runs in it, and keeps the order of equals', () => {
  expect(byHarm(items).map((each) => each.title)).toEqual(['x', 'w', 'f1', 'f2', 'c']);
});

test('attentionSentence counts, and says when there is nothing', () => {
  expect(attentionSentence(items)).toBe('2 failing, 2 degraded, 1 to know');
  expect(attentionSentence([])).toBe('Nothing needs you');
});

test('namespaceOrder puts the worst of the mesh first and what is outside last', () => {
  const row = (
    name: string,
    status: 'healthy' | 'failing',
    requestsPerSecond: number,
    isEnrolled = true,
  ) => ({ name, isEnrolled, health: { status }, inbound: { requestsPerSecond } }) as NamespaceRow;
  const rows = [
    row('quiet', 'healthy', 1),
    row('out', 'failing', 9, false),
    row('busy', 'healthy', 5),
    row('bad', 'failing', 0),
  ];
  expect(namespaceOrder(rows).map((each) => each.name)).toEqual(['bad', 'busy', 'quiet', 'out']);
});

test('isQuiet is outside the mesh, without traffic and without findings', () => {
  const row = { isEnrolled: false, findings: 0, health: { status: 'idle' } } as NamespaceRow;
  expect(isQuiet(row)).toBe(true);
  expect(isQuiet({ ...row, isEnrolled: true })).toBe(false);
  expect(isQuiet({ ...row, findings: 1 })).toBe(false);
  expect(isQuiet({ ...row, health: { status: 'unknown', reason: '', samples: 2 } })).toBe(false);
});
