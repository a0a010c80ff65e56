import { describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createRoot } from '#identity/ca/authority.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import type { Caller } from '../push/caller.ts';
import { impersonationProblem, type PodFacts } from './impersonation.ts';
import { PLUGGED_SECRET, ROOT_SECRET, rootFromSecret } from './root-secret.ts';
import { callerOfReview } from './token-review.ts';

const pod = (some: Partial<PodFacts>): PodFacts => ({
  namespace: 'shop',
  name: 'web-1',
  uid: 'u2',
  serviceAccount: 'web',
  nodeName: 'node1',
  phase: 'Running',
  ...some,
});
const AGENT = pod({
  namespace: 'istio-system',
  name: 'agent',
  uid: 'u1',
  serviceAccount: 'ztunnel',
});
const CALLER: Caller = {
  namespace: 'istio-system',
  serviceAccount: 'ztunnel',
  pod: { name: 'agent', uid: 'u1' },
};

describe('impersonationProblem', () => {
  const rows: { title: string; caller?: Caller; pods?: PodFacts[]; want: string | undefined }[] = [
    { title: 'a pod of the account on the node', want: undefined },
    {
      title: 'another account',
      caller: { ...CALLER, serviceAccount: 'web' },
      want: 'istio-system/web is not a trusted node account',
    },
    {
      title: 'the trusted name in another namespace',
      caller: { ...CALLER, namespace: 'shop' },
      want: 'shop/ztunnel is not a trusted node account',
    },
    {
      title: 'a token without pod',
      caller: { ...CALLER, pod: undefined },
      want: 'not bound to a pod',
    },
    { title: 'a pod that is gone', pods: [pod({})], want: 'does not exist' },
    {
      title: 'a pod that was replaced',
      pods: [{ ...AGENT, uid: 'u9' }, pod({})],
      want: 'was replaced',
    },
    {
      title: 'a pod of another account',
      pods: [{ ...AGENT, serviceAccount: 'x' }, pod({})],
      want: 'runs as x, not ztunnel',
    },
    {
      title: 'a pod without node',
      pods: [{ ...AGENT, nodeName: undefined }],
      want: 'on no node yet',
    },
    {
      title: 'the account on another node only',
      pods: [AGENT, pod({ nodeName: 'node2' })],
      want: 'no pod of shop/web is on node node1',
    },
    {
      title: 'a failed pod of the account',
      pods: [AGENT, pod({ phase: 'Failed' })],
      want: 'no pod of shop/web',
    },
    {
      title: 'the account in another namespace',
      pods: [AGENT, pod({ namespace: 'bank' })],
      want: 'no pod of shop/web',
    },
  ];
  for (const { title, caller = CALLER, pods = [AGENT, pod({})], want } of rows) {
    test(`${title}: ${want ?? 'may'}`, () => {
      const problem = impersonationProblem({
        caller,
        wanted: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' },
        trustedAccounts: new Set(['istio-system/ztunnel']),
        pods: {
          pod: (namespace, name) =>
            pods.find((one) => one.namespace === namespace && one.name === name),
          podsOnNode: (node) => pods.filter((one) => one.nodeName === node),
        },
      });
      if (want === undefined) expect(problem).toBeUndefined();
      else expect(problem).toContain(want);
    });
  }
});

describe('callerOfReview', () => {
  const user = { username: 'system:serviceaccount:shop:web' };
  const extra = {
    'authentication.kubernetes.io/pod-name': ['web-1'],
    'authentication.kubernetes.io/pod-uid': ['u2'],
  };
  for (const { title, status, want } of [
    {
      title: 'a pod-bound token',
      status: { authenticated: true, audiences: ['istio-ca'], user: { ...user, extra } },
      want: { namespace: 'shop', serviceAccount: 'web', pod: { name: 'web-1', uid: 'u2' } },
    },
    {
      title: 'a token without pod',
      status: { authenticated: true, user },
      want: { namespace: 'shop', serviceAccount: 'web', pod: undefined },
    },
    { title: 'no status', status: undefined, want: 'token refused: not authenticated' },
    {
      title: 'an expired token',
      status: { authenticated: false, error: 'expired' },
      want: 'token refused: expired (the clocks of the API server and of who made or renews the token may differ: compare `date -u` on both)',
    },
    {
      title: 'another audience',
      status: { authenticated: true, audiences: ['api'], user },
      want: 'token is for api, not for istio-ca',
    },
    {
      title: 'a user',
      status: { authenticated: true, user: { username: 'admin' } },
      want: 'admin is not a service account',
    },
    {
      title: 'a name with too many parts',
      status: { authenticated: true, user: { username: 'system:serviceaccount:a:b:c' } },
      want: 'system:serviceaccount:a:b:c is not a service account',
    },
  ]) {
    test(`reads ${title}`, () => expect(callerOfReview(status)).toEqual(want));
  }
});

describe('rootFromSecret', () => {
  const options = { namespace: 'istio-system', trustDomain: 'cluster.local' };
  const deps = (kube: FakeKubeClient) => ({
    kube,
    clock: new FakeClock(),
    random: systemRandom,
    log: silentLogger,
  });

  test('makes a root once and loads it ever after', async () => {
    const kube = new FakeKubeClient();
    const { authority: first } = await rootFromSecret(deps(kube), options);
    const { authority: second } = await rootFromSecret(deps(kube), options);
    expect(second.root).toBe(first.root);
    expect(new X509Certificate(first.root).ca).toBe(true);
  });

  test('two that start at once agree on one root', async () => {
    const kube = new FakeKubeClient();
    const all = await Promise.all(
      [1, 2].map(async () => (await rootFromSecret(deps(kube), options)).authority),
    );
    expect(all[0].root).toBe(all[1].root);
  });

  test('a Secret without the keys is refused by name', async () => {
    const kube = new FakeKubeClient();
    const metadata = { namespace: options.namespace, name: ROOT_SECRET };
    await kube.create(RESOURCES.secrets, { apiVersion: 'v1', kind: 'Secret', metadata });
    await expect(rootFromSecret(deps(kube), options)).rejects.toMatchObject({
      code: 'CA_ROOT_INVALID',
      message: expect.stringContaining(ROOT_SECRET),
    });
  });

  test('a CA that was plugged in wins, by Istio’s names or those of a TLS Secret; half of one is refused', async () => {
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const material = await createRoot(deps(new FakeKubeClient()), 'plugged');
    const [certificate, key] = [base64(material.certificate), base64(material.privateKey)];
    const load = async (data: Record<string, string>) => {
      const kube = new FakeKubeClient();
      await rootFromSecret(deps(kube), options);
      const metadata = { namespace: options.namespace, name: PLUGGED_SECRET };
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata, data };
      await kube.create(RESOURCES.secrets, secret as KubeObject);
      return (await rootFromSecret(deps(kube), options)).authority.root;
    };
    expect(
      await load({ 'ca-cert.pem': certificate, 'ca-key.pem': key, 'root-cert.pem': certificate }),
    ).toBe(material.certificate);
    expect(await load({ 'tls.crt': certificate, 'tls.key': key, 'ca.crt': certificate })).toBe(
      material.certificate,
    );
    await expect(load({ 'ca-cert.pem': certificate })).rejects.toMatchObject({
      code: 'CA_ROOT_INVALID',
      message: 'Secret cacerts lacks privateKey, roots',
    });
  });
});
