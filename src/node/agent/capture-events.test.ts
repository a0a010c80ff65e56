import { expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { captureFailed } from './capture-events.ts';

const POD = { namespace: 'shop', name: 'web', uid: 'u1' };

test.each([
  [
    'a failure of ours has its remedy',
    new MeshError('NODE_CAPTURE', 'no network namespace', { side: 'self', hint: 'look at it' }),
    'not in the mesh yet, its traffic is plain: no network namespace; look at it',
  ],
  ['any other its words', new Error('EPERM'), 'not in the mesh yet, its traffic is plain: EPERM'],
])('captureFailed: %s', (_title, error, message) => {
  expect(captureFailed(POD, error)).toEqual([
    { apiVersion: 'v1', kind: 'Pod', ...POD },
    { type: 'Warning', reason: 'CaptureFailed', message },
  ]);
});
