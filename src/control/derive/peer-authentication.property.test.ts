/**
 * PeerAuthentications through conversion and evaluation against a reference that walks the objects: who may connect in
 * plaintext to which port of which workload.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { evaluateL4 } from '#policy/l4/evaluate-l4.ts';
import { PolicyIndex } from '#policy/l4/policy-index.ts';
import type { PeerAuthenticationObject } from './peer-authentication.ts';
import {
  convertPeerAuthentication,
  peerAuthenticationKeys,
  staticStrict,
} from './peer-authentication.ts';

const ROOT = 'istio-system';
const LABELS = { app: 'api' };
const PORTS = [80, 8080];

const mode = fc.constantFrom(undefined, 'UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT');
const peer = fc
  .record({
    namespace: fc.constantFrom('shop', ROOT, 'other'),
    selected: fc.constantFrom('none', 'api', 'web'),
    own: mode,
    ports: fc.dictionary(fc.constantFrom('80', '8080'), mode, { maxKeys: 2 }),
    second: fc.nat(9),
  })
  .map(({ namespace, selected, own, ports, second }) => ({
    namespace,
    creationTimestamp: `2026-01-01T00:00:0${second}Z`,
    spec: {
      ...(selected === 'none' ? {} : { selector: { matchLabels: { app: selected } } }),
      ...(own === undefined ? {} : { mtls: { mode: own } }),
      portLevelMtls: Object.fromEntries(
        Object.entries(ports).map(([port, each]) => [port, { mode: each }]),
      ),
    },
  }));
/** Names follow the order: of two of one age the first in the list is the older. */
const peers = fc.array(peer, { maxLength: 5 }).map((list) =>
  list.map(
    ({ spec, ...metadata }, at): PeerAuthenticationObject => ({
      metadata: { name: `p${at}`, ...metadata },
      spec,
    }),
  ),
);

/** Whether plaintext to the port of a pod of `shop` with LABELS is admitted, read from the objects. */
function admits(objects: readonly PeerAuthenticationObject[], port: number): boolean {
  const selects = ({ spec }: PeerAuthenticationObject) =>
    spec?.selector?.matchLabels as Record<string, string> | undefined;
  const aged = [...objects].sort((left, right) => {
    const [a, b] = [left, right].map(
      ({ metadata }) => `${metadata.creationTimestamp} ${metadata.name}`,
    );
    return a < b ? -1 : 1;
  });
  const whole = (namespace: string) =>
    aged.find((each) => each.metadata.namespace === namespace && selects(each) === undefined);
  const own = aged.find(
    (each) => each.metadata.namespace === 'shop' && selects(each)?.app === LABELS.app,
  );
  const isSet = (each: string | undefined) => each !== undefined && each !== 'UNSET';
  const inherited =
    [whole('shop'), whole(ROOT)].map((each) => each?.spec?.mtls?.mode).find(isSet) ?? 'PERMISSIVE';
  const workload = own?.spec?.mtls?.mode;
  const ofWorkload = isSet(workload) ? workload : inherited;
  const ofPort = own?.spec?.portLevelMtls?.[port]?.mode;
  // As Istio does: under an inherited STRICT only PERMISSIVE opens a port.
  const isOpening = ofPort === 'PERMISSIVE' || (ofPort === 'DISABLE' && isSet(workload));
  if (ofWorkload === 'STRICT') return isOpening;
  return ofPort !== 'STRICT';
}

function decides(
  objects: readonly PeerAuthenticationObject[],
  port: number,
  sourcePrincipal: string | undefined,
): boolean {
  const ofNamespace = (...namespaces: string[]) =>
    objects.filter(({ metadata }) => namespaces.includes(metadata.namespace ?? ''));
  const converted = objects.flatMap((object) => {
    const { namespace = '' } = object.metadata;
    return convertPeerAuthentication(object, ofNamespace(namespace, ROOT), ROOT) ?? [];
  });
  const workload = { namespace: 'shop', labels: LABELS };
  const authorizationPolicies = peerAuthenticationKeys(workload, ofNamespace('shop', ROOT), ROOT);
  const policies = new PolicyIndex([staticStrict(ROOT), ...converted]);
  return evaluateL4(policies.policiesOf({ namespace: 'shop', authorizationPolicies }), {
    sourceIp: '198.18.1.2',
    sourcePrincipal,
    destinationIp: '198.18.2.2',
    destinationPort: port,
  }).allow;
}

describe('PeerAuthentications', () => {
  test('admit plaintext exactly where the objects say', () => {
    fc.assert(
      fc.property(peers, fc.constantFrom(...PORTS, 9090), (objects, port) => {
        expect(decides(objects, port, undefined)).toBe(admits(objects, port));
      }),
      { numRuns: 2_000 },
    );
  });

  test('never refuse who has proved an identity', () => {
    fc.assert(
      fc.property(peers, fc.constantFrom(...PORTS), (objects, port) => {
        expect(decides(objects, port, 'spiffe://cluster.local/ns/shop/sa/web')).toBe(true);
      }),
    );
  });
});
