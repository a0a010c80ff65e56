import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Service } from '#kube/client/kinds.ts';
import { balancedPorts, balancerAddress } from '../controllers/load-balancers.ts';
import { Balancers } from './balancers.ts';

const service = (spec: object): Service =>
  ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec }) as Service;

test('balancedPorts takes the TCP ports of a LoadBalancer that has an address', () => {
  const ports = [{ port: 80 }, { port: 53, protocol: 'UDP' }];
  const spec = { type: 'LoadBalancer', clusterIP: '198.19.0.9', ports };
  expect(balancedPorts(service(spec))).toEqual([80]);
  expect(balancedPorts(service({ ...spec, type: 'ClusterIP' }))).toEqual([]);
  expect(balancedPorts(service({ ...spec, clusterIP: '' }))).toEqual([]);
  expect(balancedPorts(undefined)).toEqual([]);
});

test('balancerAddress stays within the loopback block, one part a lab', () => {
  expect(balancerAddress('/a', 7)).toMatch(/^127\.18\.\d{1,3}\.7$/);
  expect(balancerAddress('/a', 7)).toBe(balancerAddress('/a', 7));
});

test('Balancers relays, takes another port where one is taken, and lets go', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-balancers-'));
  const path = join(directory, 's.sock');
  const target = Bun.listen({
    unix: path,
    socket: { data: (socket, bytes) => void socket.end(`got ${Buffer.from(bytes)}`) },
  });
  const address = '127.18.251.9';
  const taken = Bun.listen({ hostname: address, port: 0, socket: { data: () => undefined } });
  const changes: number[] = [];
  const balancers = new Balancers(() => void changes.push(balancers.ports.length));
  const settled = async (count: number) => {
    while (changes.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  balancers.apply({
    event: 'balancer',
    service: 'a/b',
    address,
    ports: [{ port: taken.port, path }],
  });
  await settled(1);
  const [{ hostPort, port, service: name }] = balancers.ports;
  expect([name, port]).toEqual(['a/b', taken.port]);
  expect(hostPort).not.toBe(taken.port);
  const answer = await new Promise<string>((resolve) => {
    void Bun.connect({
      hostname: address,
      port: hostPort,
      socket: {
        open: (socket) => void socket.write('hello'),
        data: (_socket, bytes) => resolve(String(bytes)),
      },
    });
  });
  expect(answer).toBe('got hello');
  balancers.apply({ event: 'balancer', service: 'a/b', address, ports: [] });
  await settled(2);
  expect(balancers.ports).toEqual([]);
  balancers.close();
  target.stop(true);
  taken.stop(true);
  rmSync(directory, { recursive: true, force: true });
});
