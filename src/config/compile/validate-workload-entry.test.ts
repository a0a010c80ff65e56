import { expect, test } from 'bun:test';
import { type Finding, Findings } from './finding.ts';
import { checkServiceEntry } from './validate-service-entry.ts';
import { checkWorkloadEntry } from './validate-workload-entry.ts';

const PLACE = { namespace: 'shop', name: 'db' };
const SOCKET = { address: 'unix:///run/db.sock' };

/** What is said of an endpoint at a Unix socket, which no proxy is told of. */
const leftOut = (resource: string, path: string): Finding => ({
  code: 'TULLE0001',
  level: 'warning',
  resource,
  path,
  message: 'the endpoint unix:///run/db.sock is left out: a Unix socket is on no network',
  hint: 'let it listen on an IP address, and give that',
});

test('checkWorkloadEntry: says that an endpoint at a Unix socket is left out', () => {
  const findings = new Findings('WorkloadEntry', PLACE);
  checkWorkloadEntry(SOCKET, 'spec', { findings, names: true });
  expect(findings.list).toEqual([leftOut('WorkloadEntry shop/db', 'spec.address')]);
  expect(findings.failed).toBe(false);
});

test('checkServiceEntry: says it of the endpoint that it is, not of its neighbours', () => {
  const findings = new Findings('ServiceEntry', PLACE);
  const endpoints = [{ address: '198.18.7.2' }, SOCKET];
  const ports = [{ name: 'tcp', number: 5432, protocol: 'TCP' }];
  checkServiceEntry(
    { hosts: ['db.example'], ports, resolution: 'STATIC', endpoints },
    { namespace: 'shop', findings },
  );
  expect(findings.list).toEqual([leftOut('ServiceEntry shop/db', 'spec.endpoints[1].address')]);
});
