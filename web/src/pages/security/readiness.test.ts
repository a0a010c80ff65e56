import { describe, expect, test } from 'bun:test';
import type { MtlsAnswer, MtlsCell } from '#console/api/mesh.ts';
import { modeRows, nextStrict, strictCommand } from './readiness.ts';

const cell = (source: string, target: string, mtls: number, plaintext = 0): MtlsCell => ({
  source,
  target,
  mtls,
  plaintext,
  denied: 0,
});
const mode = (namespace: string, said: 'STRICT' | 'PERMISSIVE' = 'PERMISSIVE') => ({
  namespace,
  mode: said,
  from: 'default',
});
const ANSWER: Pick<MtlsAnswer, 'modes' | 'cells'> = {
  modes: [mode('shop'), mode('media'), mode('payments', 'STRICT'), mode('quiet')],
  cells: [
    cell('unknown', 'gateway/shop/entry', 0, 50),
    cell('gateway/shop/entry', 'workload/shop/web', 50),
    cell('workload/media/images', 'workload/shop/web', 10),
    cell('workload/shop/web', 'workload/media/images', 70, 3),
    cell('workload/shop/web', 'workload/payments/ledger', 90),
    cell('workload/shop/web', 'external/api.example', 9),
  ],
};

describe('readiness', () => {
  test('counts what reached the workloads of a namespace; what gateways take from outside is none of it', () => {
    expect(
      modeRows(ANSWER).map(({ namespace, mtls, plaintext }) => [namespace, mtls, plaintext]),
    ).toEqual([
      ['shop', 60, 0],
      ['media', 70, 3],
      ['payments', 90, 0],
      ['quiet', 0, 0],
    ]);
  });

  test('STRICT next is where it refuses nobody, then where it refuses the fewest, and nowhere without traffic', () => {
    const [shop, media, payments, quiet] = modeRows(ANSWER);
    expect(nextStrict([quiet, payments, media, shop])?.namespace).toBe('shop');
    expect(nextStrict([quiet, payments, media])?.namespace).toBe('media');
    expect(nextStrict([quiet, payments])).toBeUndefined();
  });

  test('the command applies a PeerAuthentication', () => {
    expect(Bun.YAML.parse(bodyOf(strictCommand('shop')))).toEqual({
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'default', namespace: 'shop' },
      spec: { mtls: { mode: 'STRICT' } },
    });
  });
});

const bodyOf = (command: string) => command.split('\n').slice(1, -1).join('\n');
