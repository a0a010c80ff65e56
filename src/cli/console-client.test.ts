/** Where the commands find the control plane in a cluster. */
import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import type { Selection } from '#kube/client/kube-client.ts';
import type { Cluster } from './cluster.ts';
import { controlPod, refused } from './console-client.ts';
import { UsageError } from './output/report.ts';

const forbidden = () =>
  new MeshError('KUBE_FORBIDDEN', 'pods is forbidden', { side: 'upstream', hint: 'h' });

function clusterOf(pods: readonly object[], mayList: (namespace?: string) => boolean) {
  const asked: (string | undefined)[] = [];
  const list = async (_ref: object, { namespace }: Selection = {}) => {
    asked.push(namespace);
    if (!mayList(namespace)) throw forbidden();
    return { items: pods, resourceVersion: '1' };
  };
  return { asked, cluster: { client: { list } } as unknown as Cluster };
}

const pod = (name: string, status: 'True' | 'False') => ({
  metadata: { name, namespace: 'istio-system' },
  status: { conditions: [{ type: 'Ready', status }] },
});

describe('controlPod', () => {
  test('takes one that is ready, and says of how many none is', async () => {
    const some = clusterOf([pod('a', 'False'), pod('b', 'True')], () => true);
    expect(await controlPod(some.cluster)).toMatchObject({ namespace: 'istio-system', name: 'b' });
    const none = clusterOf([pod('a', 'False')], () => true);
    await expect(controlPod(none.cluster)).rejects.toMatchObject({
      code: 'CLI_NO_CONSOLE',
      message: expect.stringContaining('none of 1 pods is ready'),
    });
  });

  test('asks in the namespace of the mesh alone where the user may not list all pods', async () => {
    const own = clusterOf([pod('a', 'True')], (namespace) => namespace === 'istio-system');
    expect(await controlPod(own.cluster)).toMatchObject({ name: 'a' });
    expect(own.asked).toEqual([undefined, 'istio-system']);
    const nowhere = clusterOf([], () => false);
    await expect(controlPod(nowhere.cluster)).rejects.toMatchObject({ code: 'KUBE_FORBIDDEN' });
  });
});

describe('refused', () => {
  test('a wrong flag is wrong usage, and is called as it was typed', () => {
    const body = { error: 'namespaces: "B_" is no name', field: 'namespaces', hint: 'as a-b' };
    const error = refused('/api/v1/graph?namespaces=B_', 400, JSON.stringify(body));
    expect(error).toEqual(new UsageError('--namespace: "B_" is no name\n  try: as a-b'));
  });

  test('everything else is a failure, with what was said', () => {
    const error = refused('/api/v1/graph?x=1', 503, JSON.stringify({ error: 'not yet' }));
    expect(error).toMatchObject({
      code: 'CLI_CONSOLE_REFUSED',
      message: '/api/v1/graph: not yet (503)',
    });
  });
});
