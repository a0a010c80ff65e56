/**
 * The whole control plane over a real API server, in this process on loopback: pods are objects only, tokens are real
 * (TokenRequest, bound to the pod). Outside ends join it as they would join istiod.
 */
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { type RunningControl, startControl } from '#control/main.ts';
import { parseControlOptions } from '#control/options.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { startTestApiserver, type TestApiserver, until } from '#test/support/apiserver.ts';

export interface RigPod {
  namespace: string;
  name: string;
  serviceAccount: string;
  ip: string;
  ip6?: string;
  node: string;
  labels?: Record<string, string>;
  /** As the CNI agent writes it once the pod is captured. */
  captured?: boolean;
}

export interface ControlRig {
  readonly apiserver: TestApiserver;
  readonly control: RunningControl;
  readonly rootPem: string;
  /** Lines of the control plane's log. */
  readonly logs: readonly string[];
  addPod(pod: RigPod): Promise<void>;
  /** Create or replace any object by its path of the collection. */
  create(path: string, object: object): Promise<void>;
  /** A token bound to the pod, for audience `istio-ca` unless another is asked for. */
  token(pod: { namespace: string; name: string; serviceAccount: string }): Promise<string>;
  stop(): Promise<void>;
}

const LISTEN = ['discovery', 'monitoring'].map((name) => `--${name}-listen=127.0.0.1:0`);

export async function startControlRig(namespaces: readonly string[]): Promise<ControlRig> {
  const apiserver = await startTestApiserver();
  const call = async (method: string, path: string, body?: unknown, contentType?: string) => {
    const answer = await apiserver.call(method, path, body, { contentType });
    if (answer.code >= 300)
      throw new Error(`${method} ${path}: ${answer.code} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  for (const name of ['istio-system', ...namespaces]) {
    const metadata = { name, labels: { 'istio.io/dataplane-mode': 'ambient' } };
    const known = await apiserver.call('GET', `/api/v1/namespaces/${name}`);
    if (known.code === 404)
      await call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata });
  }
  const connection = loadKubeconfig(`${apiserver.directory}/kubeconfig`);
  const client = new RestClient({ fetch: fetch as Fetch }, connection);
  const options = parseControlOptions([...LISTEN, '--console-listen=off'], { POD_NAME: 'istiod' });
  if (options === undefined) throw new Error('help was not asked for');
  const logs: string[] = [];
  const log = createLogger('control', { clock: systemClock, write: (line) => logs.push(line) });
  const control = await startControl(
    { client, asReader: () => client, clock: systemClock, random: systemRandom, log },
    options,
  );
  const secret = await call('GET', '/api/v1/namespaces/istio-system/secrets/istio-ca-secret');
  const rootPem = Buffer.from(secret.data['ca-cert.pem'], 'base64').toString();
  const addAccount = async (namespace: string, name: string) => {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    const known = await apiserver.call('GET', `${path}/${name}`);
    if (known.code !== 404) return;
    await call('POST', path, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  };
  return {
    apiserver,
    control,
    rootPem,
    logs,
    create: async (path, object) => void (await call('POST', path, object)),
    async addPod(pod) {
      await addAccount(pod.namespace, pod.serviceAccount);
      const path = `/api/v1/namespaces/${pod.namespace}/pods`;
      const annotations = pod.captured ? { 'ambient.istio.io/redirection': 'enabled' } : {};
      await call('POST', path, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: pod.name, labels: pod.labels ?? {}, annotations },
        spec: {
          serviceAccountName: pod.serviceAccount,
          nodeName: pod.node,
          containers: [{ name: 'app', image: 'app' }],
        },
      });
      const status = {
        phase: 'Running',
        podIP: pod.ip,
        podIPs: [pod.ip, pod.ip6].flatMap((ip) => (ip === undefined ? [] : [{ ip }])),
        conditions: [{ type: 'Ready', status: 'True' }],
      };
      await call('PATCH', `${path}/${pod.name}/status`, { status }, 'application/merge-patch+json');
    },
    async token({ namespace, name, serviceAccount }) {
      const pod = await until(async () => {
        const answer = await apiserver.call('GET', `/api/v1/namespaces/${namespace}/pods/${name}`);
        return answer.code === 200 ? answer.body : undefined;
      });
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
      const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name, uid: pod.metadata.uid };
      const review = await call('POST', path, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: ['istio-ca'], expirationSeconds: 3600, boundObjectRef },
      });
      return review.status.token;
    },
    async stop() {
      await control.stop();
      await apiserver.stop();
    },
  };
}
