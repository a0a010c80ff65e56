/**
 * The control plane as a client sees it that is not ours: HTTP/2 by node:http2, gRPC and protobuf by hand from the published
 * field numbers. What an outside ztunnel relies on: names, aliases, versions, on-demand lookups, certificates.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { makeKeyRequest } from '#identity/svid/key-request.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import { until } from '#test/support/apiserver.ts';
import { type ControlRig, startControlRig } from './control-rig.ts';
import {
  OutsideClient,
  type OutsideStream,
  type SeenResource,
  type SeenResponse,
  ztunnelNode,
} from './outside-client.ts';
import * as wire from './wire.ts';

const ZTUNNEL = {
  namespace: 'istio-system',
  name: 'ztunnel-a',
  serviceAccount: 'ztunnel',
  ip: '198.18.0.9',
  node: 'node1',
};
const WEB = {
  namespace: 'shop',
  name: 'web',
  serviceAccount: 'web',
  ip: '198.18.1.5',
  node: 'node1',
};
const DB = { namespace: 'shop', name: 'db', serviceAccount: 'db', ip: '198.18.2.7', node: 'node2' };
/** As which it sees no pods of its own node. */
const ELSEWHERE = { ...ZTUNNEL, node: 'node7' };
const SERVICE = 'shop/web.shop.svc.cluster.local';
const WEB_UID = 'Kubernetes//Pod/shop/web';
const ZTUNNEL_UID = 'Kubernetes//Pod/istio-system/ztunnel-a';
const DB_UID = 'Kubernetes//Pod/shop/db';
const VIP = '198.19.0.80';
const SERVER_NAME = 'istiod.istio-system.svc';

const spiffe = (serviceAccount: string) => `spiffe://cluster.local/ns/shop/sa/${serviceAccount}`;
const typeUrl = (url: string) => wire.text(2, url);
const subscribe = (...names: string[]) => names.map((name) => wire.text(3, name));
const unsubscribe = (name: string) => wire.text(4, name);
const retained = (name: string, version: string) => wire.entry(5, name, wire.text(2, version));
const nonce = (value: string) => wire.text(6, value);

const namesOf = ({ resources }: SeenResponse) => resources.map(({ name }) => name).sort();
const named = (response: SeenResponse, name: string) => {
  const found = response.resources.find((resource) => resource.name === name);
  if (found === undefined) throw new Error(`no ${name} in ${namesOf(response)}`);
  return found;
};

describe('the control plane, seen by a client that is not ours', () => {
  let rig: ControlRig;
  let client: OutsideClient;
  let token: string;
  const clients: OutsideClient[] = [];

  function connect(headers: Record<string, string>): OutsideClient {
    const { rootPem, control } = rig;
    const port = control.ports.discovery;
    const made = new OutsideClient({ port, rootPem, serverName: SERVER_NAME, headers });
    clients.push(made);
    return made;
  }

  beforeAll(async () => {
    rig = await startControlRig(['shop']);
    await rig.addPod(ZTUNNEL);
    await rig.addPod({ ...WEB, labels: { app: 'web' }, captured: true });
    await rig.addPod(DB);
    await rig.create('/api/v1/namespaces/shop/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: {
        clusterIP: VIP,
        selector: { app: 'web' },
        ports: [{ name: 'http', port: 80, targetPort: 8080 }],
      },
    });
    await rig.create('/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices', {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: [WEB.ip],
          conditions: { ready: true },
          targetRef: { kind: 'Pod', namespace: 'shop', name: 'web' },
        },
      ],
    });
    await rig.create('/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies', {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'no-db' },
      spec: {
        action: 'DENY',
        rules: [{ from: [{ source: { principals: ['cluster.local/ns/shop/sa/db'] } }] }],
      },
    });
    token = await rig.token(ZTUNNEL);
    client = connect({ authorization: `Bearer ${token}`, clusterid: 'Kubernetes' });
  });

  afterAll(async () => {
    for (const each of clients) each.close();
    await rig.stop();
  });

  /** Sends until the state of the mesh that the tests stand on has arrived; answers each response. */
  async function first(stream: OutsideStream, url: string, ...names: string[]) {
    stream.send(ztunnelNode(ZTUNNEL), typeUrl(url), ...subscribe(...names));
    const seen = new Map<string, SeenResource>();
    for (let index = 0; ; index++) {
      const response = await stream.response(index);
      stream.send(typeUrl(url), nonce(response.nonce));
      for (const resource of response.resources) seen.set(resource.name, resource);
      const web = seen.get(WEB_UID);
      const whole = web !== undefined && [22, 3].every((field) => workloadOf(web).has(field));
      if (whole || (url === wire.AUTHORIZATION && seen.size > 0)) {
        return { ...response, resources: [...seen.values()] };
      }
    }
  }

  const workloadOf = ({ typeUrl: url, value }: SeenResource): wire.Fields =>
    url === wire.ADDRESS ? wire.messages(value, 1)[0] : value;

  test('wildcard Address: workloads by uid, services by namespace/hostname, both with a version', async () => {
    const stream = client.openAds();
    const response = await first(stream, wire.ADDRESS);
    expect(response.typeUrl).toBe(wire.ADDRESS);
    expect(namesOf(response)).toEqual(expect.arrayContaining([DB_UID, WEB_UID, SERVICE]));
    const web = named(response, WEB_UID);
    expect(web.typeUrl).toBe(wire.ADDRESS);
    expect(web.version).toMatch(/^[0-9a-f]{16}$/);
    const [workload] = wire.messages(web.value, 1);
    expect(wire.textOf(workload, 20)).toBe(WEB_UID);
    expect([...wire.bytesOf(workload, 3)]).toEqual([198, 18, 1, 5]);
    expect(wire.numberOf(workload, 5)).toBe(1); // HBONE
    expect(workload.has(6)).toBe(false); // cluster.local is left out
    expect(wire.textOf(workload, 7)).toBe('web');
    expect(wire.numberOf(workload, 12)).toBe(2); // POD
    const [membership] = wire.messages(workload, 22);
    expect(wire.textOf(membership, 1)).toBe(SERVICE);
    const [port] = wire.messages(wire.messages(membership, 2)[0], 1);
    expect([wire.numberOf(port, 1), wire.numberOf(port, 2), port.has(3)]).toEqual([
      80,
      8080,
      false,
    ]);
    const [service] = wire.messages(named(response, SERVICE).value, 2);
    expect(wire.textOf(service, 3)).toBe('web.shop.svc.cluster.local');
    expect([...wire.bytesOf(wire.messages(service, 4)[0], 2)]).toEqual([198, 19, 0, 80]);
    expect(wire.numberOf(service, 11)).toBe(1); // canonical
    expect(wire.numberOf(wire.messages(named(response, DB_UID).value, 1)[0], 5)).toBe(0);
    stream.close();
  });

  test('Authorization comes by namespace/name, with a version', async () => {
    const stream = client.openAds();
    const response = await first(stream, wire.AUTHORIZATION);
    const policy = named(response, 'shop/no-db');
    expect(policy.version).toMatch(/^[0-9a-f]{16}$/);
    expect(wire.textOf(policy.value, 1)).toBe('no-db');
    expect(wire.numberOf(policy.value, 3)).toBe(1); // NAMESPACE
    expect(wire.numberOf(policy.value, 4)).toBe(1); // DENY
    // rules 5 → clauses 1 → matches 2 → principals 3 → exact 1
    const [match] = wire.messages(wire.messages(wire.messages(policy.value, 5)[0], 1)[0], 2);
    expect(wire.textOf(wire.messages(match, 3)[0], 1)).toBe('cluster.local/ns/shop/sa/db');
    stream.close();
  });

  test('Workload, for older clients: the same names, no services', async () => {
    const stream = client.openAds();
    const response = await first(stream, wire.WORKLOAD);
    expect(namesOf(response)).toContain(WEB_UID);
    expect(namesOf(response)).not.toContain(SERVICE);
    const web = named(response, WEB_UID);
    expect(web.typeUrl).toBe(wire.WORKLOAD);
    expect(wire.textOf(web.value, 20)).toBe(WEB_UID);
    stream.close();
  });

  test('Workload on demand: the address of a service brings its workloads', async () => {
    const stream = client.openAds();
    stream.send(
      ztunnelNode(ELSEWHERE),
      typeUrl(wire.WORKLOAD),
      ...subscribe('*', `/${VIP}`),
      unsubscribe('*'),
    );
    expect(namesOf(await stream.response(0))).toEqual([WEB_UID]);
    stream.close();
  });

  test('a returning client is sent what differs and what is gone, and its refusals are seen', async () => {
    const whole = client.openAds();
    const all = await first(whole, wire.ADDRESS);
    whole.close();
    const stream = client.openAds();
    stream.send(
      ztunnelNode(ZTUNNEL),
      typeUrl(wire.ADDRESS),
      ...all.resources
        .filter(({ name }) => name !== SERVICE)
        .map(({ name, version }) => retained(name, version)),
      retained('Kubernetes//Pod/shop/gone', '1f'),
    );
    const response = await stream.response(0);
    expect(namesOf(response)).toEqual([SERVICE]);
    expect(response.removed).toEqual(['Kubernetes//Pod/shop/gone']);
    stream.send(
      typeUrl(wire.ADDRESS),
      nonce(response.nonce),
      wire.nested(7, wire.text(2, `${SERVICE}: not for me`)),
    );
    await until(() => rig.logs.find((line) => line.includes(`${SERVICE}: not for me`)));
    stream.close();
  });

  describe('on demand', () => {
    async function open(...more: wire.Part[]): Promise<OutsideStream> {
      const stream = client.openAds();
      stream.send(
        ztunnelNode(ELSEWHERE),
        typeUrl(wire.ADDRESS),
        ...subscribe('*'),
        unsubscribe('*'),
        ...more,
      );
      return stream;
    }
    const ask = (stream: OutsideStream, name: string) =>
      stream.send(typeUrl(wire.ADDRESS), ...subscribe(name));

    async function answer(stream: OutsideStream, index: number) {
      const response = await stream.response(index);
      stream.send(typeUrl(wire.ADDRESS), nonce(response.nonce));
      return response;
    }

    test('nothing comes unasked; each key is answered, with aliases, a missing one as removed', async () => {
      const stream = await open();
      expect(await answer(stream, 0)).toMatchObject({ resources: [], removed: [] });
      ask(stream, `/${DB.ip}`);
      const byAddress = await answer(stream, 1);
      expect(namesOf(byAddress)).toEqual([DB_UID]);
      expect(byAddress.resources[0].aliases).toEqual([`/${DB.ip}`]);
      ask(stream, '/198.18.9.9');
      expect(await answer(stream, 2)).toMatchObject({ resources: [], removed: ['/198.18.9.9'] });
      ask(stream, WEB_UID);
      expect(namesOf(await answer(stream, 3))).toEqual([WEB_UID]);
      // By the service: the service and its workloads, also the one that was sent before.
      ask(stream, `/${VIP}`);
      const byService = await answer(stream, 4);
      expect(namesOf(byService)).toEqual([WEB_UID, SERVICE]);
      expect(named(byService, SERVICE).aliases).toEqual([`/${VIP}`]);
      ask(stream, SERVICE);
      expect(namesOf(await answer(stream, 5))).toEqual([WEB_UID, SERVICE]);
      stream.close();
    });

    test('only the workloads of its own node come unasked', async () => {
      const stream = client.openAds();
      const nothing = [...subscribe('*'), unsubscribe('*')];
      stream.send(ztunnelNode(ZTUNNEL), typeUrl(wire.ADDRESS), ...nothing);
      expect(namesOf(await answer(stream, 0))).toEqual([ZTUNNEL_UID, WEB_UID]);
      stream.close();
    });

    test('what came with an answer is followed from then on', async () => {
      const stream = await open();
      await answer(stream, 0);
      ask(stream, SERVICE);
      const before = named(await answer(stream, 1), WEB_UID).version;
      const patch = await rig.apiserver.call(
        'PATCH',
        '/api/v1/namespaces/shop/pods/web/status',
        { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
        { contentType: 'application/merge-patch+json' },
      );
      expect(patch.code).toBe(200);
      const pushed = named(await answer(stream, 2), WEB_UID);
      expect(pushed.version).not.toBe(before);
      expect(wire.numberOf(wire.messages(pushed.value, 1)[0], 17)).toBe(1); // UNHEALTHY
      await rig.apiserver.call(
        'PATCH',
        '/api/v1/namespaces/shop/pods/web/status',
        { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
        { contentType: 'application/merge-patch+json' },
      );
      await answer(stream, 3);
      stream.close();
    });

    test('on return it is subscribed to what it names, and open questions are answered', async () => {
      const before = await open();
      await answer(before, 0);
      ask(before, DB_UID);
      const { version } = (await answer(before, 1)).resources[0];
      before.close();
      // DB is held already; the other two were asked for on the stream before and never answered.
      const stream = await open(
        retained(DB_UID, version),
        retained(`/${WEB.ip}`, ''),
        retained('/198.18.9.9', ''),
      );
      const response = await answer(stream, 0);
      expect(namesOf(response)).toEqual([WEB_UID]);
      expect(response.removed).toEqual(['/198.18.9.9']);
      stream.close();
    });
  });

  describe('who may connect', () => {
    const rows: { title: string; headers: () => Record<string, string>; want: string }[] = [
      { title: 'nobody without a token', headers: () => ({}), want: 'no bearer token' },
      {
        title: 'nobody with a made-up token',
        headers: () => ({ authorization: 'Bearer made-up' }),
        want: 'token refused',
      },
      {
        title: 'nobody of a cluster that is not ours',
        headers: () => ({ authorization: `Bearer ${token}`, clusterid: 'elsewhere' }),
        want: 'the client is of cluster elsewhere',
      },
    ];
    for (const { title, headers, want } of rows) {
      test(title, async () => {
        const stranger = connect(headers());
        const stream = stranger.openAds();
        stream.send(ztunnelNode(ZTUNNEL), typeUrl(wire.ADDRESS));
        expect(await stream.ended).toMatchObject({
          status: '16',
          message: expect.stringContaining(want),
        });
        const { csr } = await makeKeyRequest(parsePrincipal(spiffe('web'))!);
        expect(await stranger.createCertificate(wire.text(1, csr))).toMatchObject({
          status: '16',
          message: expect.stringContaining(want),
        });
      });
    }

    test('no cluster named means this one', async () => {
      const stream = connect({ authorization: `Bearer ${token}` }).openAds();
      await first(stream, wire.ADDRESS);
      stream.close();
    });
  });

  describe('certificates', () => {
    const impersonate = (uri: string) =>
      wire.nested(4, wire.entry(1, 'ImpersonatedIdentity', wire.nested(2, wire.text(3, uri))));

    test('leaf first, roots last; names in the request do not count', async () => {
      const { csr } = await makeKeyRequest(parsePrincipal(spiffe('db'))!);
      const chain = await client.createCertificate(
        wire.text(1, csr),
        wire.number(3, 3600),
        impersonate(spiffe('web')),
      );
      if (!Array.isArray(chain)) throw new Error(chain.message);
      expect(chain.length).toBe(2);
      const leaf = new X509Certificate(chain[0]);
      expect(leaf.subjectAltName).toBe(`URI:${spiffe('web')}`);
      expect(leaf.subject ?? '').toBe('');
      expect(leaf.verify(new X509Certificate(chain[1]).publicKey)).toBe(true);
      const lifetime = Date.parse(leaf.validTo) - Date.parse(leaf.validFrom);
      expect(lifetime).toBe((3600 + 120) * 1000);
    });

    test('without impersonation the caller gets its own', async () => {
      const { csr } = await makeKeyRequest(parsePrincipal(spiffe('web'))!);
      const chain = await client.createCertificate(wire.text(1, csr));
      if (!Array.isArray(chain)) throw new Error(chain.message);
      expect(new X509Certificate(chain[0]).subjectAltName).toBe(
        'URI:spiffe://cluster.local/ns/istio-system/sa/ztunnel',
      );
    });

    const refusals: { title: string; parts: wire.Part[]; status: string; want: string }[] = [
      {
        title: 'an account of another node',
        parts: [impersonate(spiffe('db'))],
        status: '16',
        want: 'request impersonation authentication failure',
      },
      {
        title: 'another trust domain',
        parts: [impersonate('spiffe://other/ns/shop/sa/web')],
        status: '16',
        want: 'is not of trust domain cluster.local',
      },
      {
        title: 'more than 90 days',
        parts: [wire.number(3, 91 * 86_400)],
        status: '3',
        want: 'lifetime',
      },
    ];
    for (const { title, parts, status, want } of refusals) {
      test(`refused: ${title}`, async () => {
        const { csr } = await makeKeyRequest(parsePrincipal(spiffe('web'))!);
        const ended = await client.createCertificate(wire.text(1, csr), ...parts);
        expect(ended).toMatchObject({ status, message: expect.stringContaining(want) });
      });
    }

    test('refused: an account that is no node account, even for a pod beside it', async () => {
      const pod = connect({ authorization: `Bearer ${await rig.token(WEB)}` });
      const { csr } = await makeKeyRequest(parsePrincipal(spiffe('web'))!);
      const ended = await pod.createCertificate(
        wire.text(1, csr),
        impersonate('spiffe://cluster.local/ns/istio-system/sa/ztunnel'),
      );
      expect(ended).toMatchObject({
        status: '16',
        message: expect.stringContaining('shop/web is not a trusted node account'),
      });
    });
  });
});
