/**
 * Our node proxy's clients against a control plane that is not ours: what they send, and what they make of bytes that our
 * encoder did not write. Needs neither root nor another program.
 */
import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { systemClock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import { MeshState } from '#node/state/mesh-state.ts';
import { followXds, NODE_RESOURCE_TYPES } from '#node/state/xds-source.ts';
import { until } from '#test/support/apiserver.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { ADDRESS as ADDRESS_TYPE } from '#xds/resources/address.ts';
import { AUTHORIZATION as AUTHORIZATION_TYPE } from '#xds/resources/authorization.ts';
import { FOREIGN_NAME, type ForeignControl, startForeignControl } from './foreign-control.ts';
import * as wire from './wire.ts';

const { ADDRESS, AUTHORIZATION, address, bytes, entry, nested, number, text } = wire;
const WEB = parsePrincipal('spiffe://cluster.local/ns/shop/sa/web')!;
const UID = 'Kubernetes//Pod/shop/web';
const SERVICE = 'shop/product.shop.svc.cluster.local';

/** Address{workload 1}. */
const workload = (...more: wire.Part[]) =>
  nested(
    1,
    text(1, 'web'),
    text(2, 'shop'),
    bytes(3, address('198.18.1.5')),
    bytes(3, address('2001:2::5')),
    number(5, 1), // HBONE
    text(7, 'web'),
    text(9, 'node1'),
    text(10, 'web-app'),
    text(20, UID),
    entry(22, SERVICE, nested(2, nested(1, number(1, 80), number(2, 8080)))),
    nested(24, text(1, 'region'), text(2, 'zone')),
    ...more,
  );

/** Address{service 2}. */
const service = (...more: wire.Part[]) =>
  nested(
    2,
    text(1, 'product'),
    text(2, 'shop'),
    text(3, 'product.shop.svc.cluster.local'),
    nested(4, bytes(2, address('198.19.0.5'))),
    nested(5, number(1, 80), number(2, 8080), number(3, 1)),
    nested(8, wire.bytes(1, new Uint8Array([6, 1, 2])), number(2, 2)), // NETWORK, REGION, ZONE; FAILOVER
    number(11, 1),
    ...more,
  );

const policy = (...more: wire.Part[]) =>
  wire.join(
    text(1, 'deny'),
    text(2, 'shop'),
    number(3, 1), // NAMESPACE
    number(4, 1), // DENY
    nested(5, nested(1, nested(2, nested(3, text(3, '/sa/db')), bytes(9, new Uint8Array([80]))))),
    ...more,
  );

describe('a control plane that is not ours', () => {
  const base = { clock: systemClock, random: systemRandom, log: silentLogger };
  let scope: Scope;
  let control: ForeignControl;
  let folder: string;

  beforeEach(async () => {
    scope = new Scope();
    folder = mkdtempSync(join(tmpdir(), 'tulle-foreign-'));
    scope.add(() => rmSync(folder, { recursive: true }));
    control = await startForeignControl();
    scope.add(() => control.stop());
    writeFileSync(join(folder, 'root.pem'), control.roots);
    writeFileSync(join(folder, 'token'), 'our-token\n');
  });

  afterEach(() => scope.dispose());

  const endpoint = () => ({
    address: `127.0.0.1:${control.port}`,
    serverName: FOREIGN_NAME,
    rootFile: join(folder, 'root.pem'),
    tokenFile: join(folder, 'token'),
    clusterId: 'east',
    headers: { 'x-tenant': 'ours' },
  });

  function connect(): { client: XdsClient; state: MeshState } {
    const client = startXdsClient(
      { ...base, transport: grpcTransport(systemClock, endpoint()) },
      {
        node: {
          type: 'ztunnel',
          ip: '198.18.0.9',
          podName: 'ztunnel-a',
          podNamespace: 'istio-system',
          metadata: { NODE_NAME: 'node1', CLUSTER_ID: 'east' },
        },
        types: NODE_RESOURCE_TYPES,
      },
    );
    const state = new MeshState();
    const stop = followXds(client, state, systemClock);
    scope.add(() => {
      stop();
      client.stop();
    });
    return { client, state };
  }

  const answersTo = (type: string) =>
    control.requests.filter(({ typeUrl, nonce }) => typeUrl === type && nonce !== '');

  test('is told who we are as a ztunnel tells it, Address first, everything of both types', async () => {
    const { client } = connect();
    await client.whenSynced();
    const [first, second] = control.requests;
    expect([first.typeUrl, second.typeUrl]).toEqual([ADDRESS, AUTHORIZATION]);
    for (const request of [first, second]) {
      expect(request).toMatchObject({
        nodeId: 'ztunnel~198.18.0.9~ztunnel-a.istio-system~istio-system.svc.cluster.local',
        subscribe: [],
        unsubscribe: [],
        initial: {},
        nonce: '',
        error: undefined,
      });
    }
    expect(first.metadata).toEqual({
      NAME: 'ztunnel-a',
      NAMESPACE: 'istio-system',
      INSTANCE_IPS: '198.18.0.9',
      NODE_NAME: 'node1',
      CLUSTER_ID: 'east',
    });
    expect(first.headers).toMatchObject({
      authorization: 'Bearer our-token',
      clusterid: 'east',
      'content-type': expect.stringContaining('application/grpc'),
      te: 'trailers',
      'x-tenant': 'ours',
    });
    await until(() => (answersTo(AUTHORIZATION).length > 0 ? true : undefined));
    for (const ack of answersTo(ADDRESS))
      expect(ack).toMatchObject({ nodeId: '', error: undefined });
  });

  test('without a single policy the mesh is in force all the same', async () => {
    control.push(ADDRESS, { [UID]: { version: '1', value: workload() } });
    control.held.add(AUTHORIZATION);
    const { client, state } = connect();
    await until(() => (answersTo(ADDRESS).length > 0 ? true : undefined));
    // Addresses without their policies would let through what a policy forbids.
    expect(client.store(ADDRESS_TYPE).size).toBe(1);
    expect(state.current.version).toBe(0);
    control.release();
    await until(() => state.current.workloads.get(UID));
    expect(state.current.authorizations).toEqual([]);
  });

  test('its resources mean what they say; policies come without versions', async () => {
    control.push(ADDRESS, {
      [UID]: {
        version: '1',
        value: workload(
          nested(23, number(1, 1), number(2, 15_088)),
          nested(19, nested(2, bytes(2, address('198.18.9.1'))), number(3, 15_008)),
          nested(27, number(1, 3)),
          text(16, 'shop/some-policy'),
        ),
      },
      [SERVICE]: {
        version: '1',
        value: service(
          nested(
            7,
            nested(1, text(1, 'shop'), text(2, 'wp.shop.svc.cluster.local')),
            number(3, 15_008),
          ),
          nested(
            13,
            nested(1, nested(1, text(1, 'shop'), text(2, 'a')), number(3, 15_008)),
            number(2, 90),
          ),
          text(6, 'spiffe://cluster.local/ns/shop/sa/more'),
          number(9, 2),
          number(12, 1),
          number(14, 1),
        ),
      },
    });
    control.push(AUTHORIZATION, { 'shop/deny': { version: '', value: policy(number(6, 1)) } });
    const { state } = connect();
    await until(() => state.current.services.get(SERVICE));
    expect(state.current.workloads.get(UID)).toMatchObject({
      addresses: ['198.18.1.5', '2001:2::5'],
      protocol: 'hbone',
      trustDomain: 'cluster.local',
      serviceAccount: 'web',
      workloadType: 'deployment',
      clusterId: 'Kubernetes',
      locality: { region: 'region', zone: 'zone', subzone: '' },
      healthy: true,
      capacity: 3,
      applicationTunnel: { protocol: 'proxy', port: 15_088 },
      networkGateway: { address: { network: '', address: '198.18.9.1' }, hbonePort: 15_008 },
      authorizationPolicies: ['shop/some-policy'],
      services: new Map([[SERVICE, [{ servicePort: 80, targetPort: 8080 }]]]),
    });
    expect(state.current.services.get(SERVICE)).toMatchObject({
      addresses: [{ network: '', address: '198.19.0.5' }],
      ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http' }],
      loadBalancing: { mode: 'failover', scopes: ['network', 'region', 'zone'] },
      waypoint: {
        service: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' },
        hbonePort: 15_008,
      },
      weightedWaypoints: [
        {
          destination: { service: { namespace: 'shop', hostname: 'a' }, hbonePort: 15_008 },
          weight: 90,
        },
      ],
      subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/more'],
      ipFamilies: 'ipv6',
      ingressUseWaypoint: true,
      visibility: 'namespace',
      canonical: true,
    });
    expect(state.current.authorizations).toMatchObject([
      {
        name: 'deny',
        scope: 'namespace',
        action: 'deny',
        dryRun: true,
        rules: [
          {
            clauses: [
              [{ principals: [{ kind: 'suffix', value: '/sa/db' }], destinationPorts: [80] }],
            ],
          },
        ],
      },
    ]);
  });

  test('what we cannot understand is refused by name with the reason; the rest of the response is in force', async () => {
    const { client } = connect();
    await client.whenSynced();
    control.push(ADDRESS, {
      [SERVICE]: { version: '1', value: service() },
      'Kubernetes//Pod/shop/later': { version: '7', value: workload(number(5, 9)) },
      'Kubernetes//Pod/shop/broken': { version: '7', value: new Uint8Array([0x0a, 0xff]) },
      'Kubernetes//Pod/shop/empty': { version: '7', value: new Uint8Array() },
    });
    const nack = await until(() => answersTo(ADDRESS).find(({ error }) => error !== undefined));
    expect(nack.error).toContain('Kubernetes//Pod/shop/later: unknown TunnelProtocol value 9');
    expect(nack.error).toContain('Kubernetes//Pod/shop/broken: ');
    expect(nack.error).toContain('Kubernetes//Pod/shop/empty: neither a workload nor a service');
    expect(nack.error).not.toContain(SERVICE);
    const store = client.store(ADDRESS_TYPE);
    expect([...store.entries()].map(([name]) => name)).toEqual([SERVICE]);
    // On the next stream the refused ones are not claimed, so they come again.
    control.drop();
    const again = await until(() =>
      control.requests.find(({ stream, typeUrl }) => stream > 0 && typeUrl === ADDRESS),
    );
    expect(again.initial).toEqual({ [SERVICE]: '1' });
  });

  test('a lost stream costs nothing: what we hold stays, what changed meanwhile comes', async () => {
    control.push(ADDRESS, {
      [UID]: { version: '1', value: workload() },
      [SERVICE]: { version: '1', value: service() },
    });
    control.push(AUTHORIZATION, { 'shop/deny': { version: '', value: policy() } });
    const { client, state } = connect();
    await until(() => state.current.services.get(SERVICE));
    const held = client.store(ADDRESS_TYPE).get(SERVICE);
    control.drop();
    control.push(ADDRESS, { [UID]: undefined });
    control.push(AUTHORIZATION, { 'shop/deny': undefined });
    await until(() => (state.current.workloads.size === 0 ? true : undefined));
    expect(client.store(ADDRESS_TYPE).get(SERVICE)).toBe(held!);
    await until(() => (client.store(AUTHORIZATION_TYPE).size === 0 ? true : undefined));
    const [back] = control.requests.filter(({ stream }) => stream > 0);
    expect(back.initial).toEqual({ [UID]: '1', [SERVICE]: '1' });
    expect(back.nodeId).toContain('ztunnel~');
  });

  describe('certificates', () => {
    function store() {
      const signer = createCaClient(systemClock, { endpoint: endpoint(), impersonate: true });
      const made = createSvidStore({ ...base, signer });
      scope.add(() => made.stop());
      return made;
    }

    test('the request is a ztunnel’s; leaf and intermediate are shown, all roots are trusted', async () => {
      const identity = await store().whenReady(WEB);
      const [seen] = control.csrs;
      expect(seen).toMatchObject({ impersonated: WEB, validitySeconds: 86_400 });
      expect(seen.headers).toMatchObject({ authorization: 'Bearer our-token', clusterid: 'east' });
      const request = new x509.Pkcs10CertificateRequest(seen.csr);
      expect(request.subject).toBe('');
      expect(request.publicKey.algorithm).toMatchObject({ name: 'ECDSA', namedCurve: 'P-256' });
      const names = request.extensions.find(
        (each) => each instanceof x509.SubjectAlternativeNameExtension,
      ) as x509.SubjectAlternativeNameExtension | undefined;
      expect(names?.critical).toBe(true);
      expect(names?.names.toJSON()).toEqual([{ type: 'url', value: WEB }]);
      const shown = identity.certificateChain.match(/BEGIN/g);
      expect(shown?.length).toBe(2);
      expect(new X509Certificate(identity.certificateChain).subjectAltName).toBe(`URI:${WEB}`);
      expect(identity.trustBundle.match(/BEGIN/g)?.length).toBe(2);
    });

    const rows: { title: string; alter: ForeignControl['alter']; want: string }[] = [
      { title: 'a chain without a root', alter: ([leaf]) => [leaf], want: 'no root' },
      {
        title: 'another identity than was asked for',
        alter: ([, intermediate, roots]) => [intermediate, roots],
        want: 'asked for',
      },
      { title: 'no certificate at all', alter: () => ['a', 'b'], want: 'no PEM' },
      {
        title: 'a refusal',
        alter: () => {
          throw new Error('request impersonation authentication failure');
        },
        want: 'impersonation authentication failure',
      },
    ];
    for (const { title, alter, want } of rows) {
      test(`not taken: ${title}`, async () => {
        control.alter = alter;
        const failure = await store()
          .whenReady(WEB)
          .catch((error: Error) => error);
        expect((failure as Error).message).toContain(want);
      });
    }
  });
});
