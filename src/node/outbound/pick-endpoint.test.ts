import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { pickEndpoint } from './pick-endpoint.ts';

type Extra = Parameters<typeof completeWorkload>[0];
const workload = (name: string, extra: Partial<Extra>): Workload =>
  completeWorkload({ name, namespace: 'shop', protocol: 'hbone', ...extra }, 'cluster.local');
const service = (name: string, extra: Partial<Service>): Service =>
  completeService({ name, namespace: 'shop', ...extra });
const http = [{ servicePort: 80, targetPort: 8080, appProtocol: 'http' as const }];

describe('pickEndpoint', () => {
  const at = (name: string, zone: string, node: string, capacity = 1) =>
    workload(name, {
      addresses: [`198.18.3.${name.charCodeAt(0)}`],
      node,
      capacity,
      locality: { region: 'r', zone, subzone: '' },
    });
  const source = at('s', 'z1', 'n1');
  const balanced = (mode: 'failover' | 'strict') =>
    service('any', {
      ports: http,
      loadBalancing: { mode, scopes: ['zone', 'node'], includeUnhealthy: false },
    });
  const pick = (mode: 'failover' | 'strict', endpoints: Workload[]) =>
    pickEndpoint({ service: balanced(mode), endpoints, servicePort: 80, source }, seededRandom(3))
      ?.workload.name;

  test('failover keeps the highest rank there is', () => {
    expect(pick('failover', [at('a', 'z2', 'n1'), at('b', 'z1', 'n2'), at('c', 'z2', 'n2')])).toBe(
      'b',
    );
    expect(pick('failover', [at('a', 'z2', 'n9')])).toBe('a');
  });

  describe('with the network first', () => {
    const elsewhere = (name: string, zone: string): Workload => ({
      ...at(name, zone, 'n9'),
      network: 'far',
      networkGateway: { address: { network: 'far', address: '198.18.9.1' }, hbonePort: 15008 },
    });
    const picked = (mode: 'failover' | 'strict', endpoints: Workload[]) => {
      const scopes = ['network', 'region', 'zone'] as const;
      const loadBalancing = { mode, scopes, includeUnhealthy: false };
      const near = service('near', { ports: http, loadBalancing });
      const request = { service: near, endpoints, servicePort: 80, source };
      return pickEndpoint(request, seededRandom(3))?.workload.name;
    };

    test('the own network wins over the nearest place of another', () => {
      const far = { ...at('b', 'z9', 'n2'), locality: { region: 'q', zone: 'z9', subzone: '' } };
      expect(picked('failover', [elsewhere('a', 'z1'), far])).toBe('b');
    });

    test('of other networks the nearest place wins', () => {
      const endpoints = ['c', 'd', 'e'].map((name) => elsewhere(name, 'z2'));
      expect(picked('failover', [...endpoints, elsewhere('a', 'z1')])).toBe('a');
    });

    test('strict takes no other', () => {
      expect(picked('strict', [elsewhere('a', 'z1')])).toBeUndefined();
      expect(picked('strict', [elsewhere('a', 'z1'), at('b', 'z1', 'n2')])).toBe('b');
    });
  });

  test('strict wants every scope', () => {
    expect(pick('strict', [at('a', 'z1', 'n2')])).toBeUndefined();
    expect(pick('strict', [at('a', 'z1', 'n2'), at('b', 'z1', 'n1')])).toBe('b');
  });

  test('capacity weighs the choice', () => {
    const random = seededRandom(7);
    const endpoints = [at('a', 'z', 'n', 9), at('b', 'z', 'n', 1)];
    const plain = service('any', { ports: http });
    let heavy = 0;
    for (let turn = 0; turn < 10_000; turn++) {
      const picked = pickEndpoint({ service: plain, endpoints, servicePort: 80, source }, random);
      if (picked?.workload.name === 'a') heavy++;
    }
    expect(heavy).toBeGreaterThan(8_800);
    expect(heavy).toBeLessThan(9_200);
  });
});
