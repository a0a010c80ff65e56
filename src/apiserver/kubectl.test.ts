/** The real kubectl against a real server: the commands a user types. Skipped, loudly, where there is no kubectl. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTestApiserver, type TestApiserver } from '#test/support/apiserver.ts';
import { missingFor } from '#test/support/lab.ts';

setDefaultTimeout(60_000);

const skip = missingFor({ programs: ['kubectl'] }) !== undefined;

const MANIFEST = `
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: host, ports: [{containerPort: 8080}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web, subset: v1}, weight: 100}]}]
`;

describe.skipIf(skip)('kubectl', () => {
  let server: TestApiserver;

  beforeAll(async () => {
    server = await startTestApiserver();
  });
  afterAll(() => server.stop());

  async function run(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await server.kubectl(args);
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  }
  async function feed(stdin: string, ...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await server.kubectl(args, { stdin });
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  }

  test('apply, client-side: creates, then changes nothing, then only what changed', async () => {
    await run('create', 'namespace', 'applied');
    const apply = ['apply', '-n', 'applied', '-f', '-'];
    const first = await feed(MANIFEST, ...apply);
    expect(first.match(/created/g)).toHaveLength(3);
    const second = await feed(MANIFEST, ...apply);
    expect(second.match(/unchanged/g)).toHaveLength(3);
    const third = await feed(MANIFEST.replace('weight: 100', 'weight: 90'), ...apply);
    expect(third).toContain('virtualservice.networking.istio.io/web configured');
    expect(third.match(/unchanged/g)).toHaveLength(2);
    const path = '{.spec.http[0].route[0].weight}';
    expect(await run('get', '-n', 'applied', 'vs', 'web', '-o', `jsonpath=${path}`)).toBe('90');
  });

  test('apply, server-side: owns fields, reports conflicts by manager, takes them by force', async () => {
    await run('create', 'namespace', 'serverside');
    const base = ['apply', '-n', 'serverside', '--server-side', '-f', '-'];
    expect(await feed(MANIFEST, ...base)).toContain('deployment.apps/web serverside-applied');
    const changed = MANIFEST.replace('replicas: 2', 'replicas: 3');
    const other = await server.kubectl([...base, '--field-manager=other'], { stdin: changed });
    expect(other.exitCode).toBe(1);
    expect(other.stderr).toContain('.spec.replicas');
    expect(other.stderr).toContain('conflict with "kubectl"');
    await feed(changed, ...base, '--field-manager=other', '--force-conflicts');
    const path = 'jsonpath={.spec.replicas}';
    expect(await run('get', '-n', 'serverside', 'deploy', 'web', '-o', path)).toBe('3');
  });

  test('create, get, label, annotate, patch in three languages, delete', async () => {
    await run('create', 'configmap', 'settings', '--from-literal=a=1');
    await run('label', 'configmap', 'settings', 'tier=front');
    await run('annotate', 'configmap', 'settings', 'note=hello');
    await run('patch', 'configmap', 'settings', '-p', '{"data":{"b":"2"}}');
    await run(
      'patch',
      'configmap',
      'settings',
      '--type=merge',
      '-p',
      '{"data":{"c":"3","a":null}}',
    );
    const json = '[{"op":"replace","path":"/data/b","value":"20"}]';
    await run('patch', 'configmap', 'settings', '--type=json', '-p', json);
    const object = JSON.parse(await run('get', 'cm', '-l', 'tier=front', '-o', 'json')).items[0];
    expect(object.data).toEqual({ b: '20', c: '3' });
    expect(object.metadata.annotations).toEqual({ note: 'hello' });
    expect(await run('delete', 'configmap', 'settings')).toContain('deleted');
    const gone = await server.kubectl(['get', 'configmap', 'settings']);
    expect(gone.stderr).toBe('Error from server (NotFound): configmaps "settings" not found\n');
  });

  test('create of built-in kinds, which kubectl sends as protobuf', async () => {
    await run('create', 'deployment', 'made', '--image=host', '--replicas=2', '--port=80');
    await run('create', 'secret', 'generic', 'made', '--from-literal=password=x');
    await run('create', 'service', 'clusterip', 'made', '--tcp=80:8080');
    await run('create', 'serviceaccount', 'made');
    const spec = JSON.parse(await run('get', 'deploy', 'made', '-o', 'json')).spec;
    expect(spec).toMatchObject({ replicas: 2, selector: { matchLabels: { app: 'made' } } });
    expect(spec.template.spec.containers[0]).toMatchObject({
      name: 'host',
      ports: [{ containerPort: 80, protocol: 'TCP' }],
    });
    const port = JSON.parse(await run('get', 'svc', 'made', '-o', 'json')).spec.ports[0];
    expect(port).toMatchObject({ port: 80, targetPort: 8080, protocol: 'TCP' });
    expect(await run('create', 'token', 'made')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n?$/);
    expect(await run('auth', 'can-i', 'delete', 'pods')).toBe('yes\n');
    expect((await server.kubectl(['auth', 'can-i', 'get', 'pods', '--as=nobody'])).stdout).toBe(
      'no\n',
    );
  });

  test('scale and rollout status', async () => {
    await run('create', 'deployment', 'rolling', '--image=host');
    await run('scale', 'deploy/rolling', '--replicas=3');
    const path = '/apis/apps/v1/namespaces/default/deployments/rolling';
    const { body: live } = await server.call('GET', path);
    expect(live.metadata.generation).toBe(2);
    const rollout = server.kubectl(['rollout', 'status', 'deploy/rolling', '--timeout=30s']);
    const counts = { replicas: 3, readyReplicas: 3, updatedReplicas: 3, availableReplicas: 3 };
    const status = { ...counts, observedGeneration: 2 };
    const patch = { contentType: 'application/merge-patch+json' };
    expect((await server.call('PATCH', `${path}/status`, { status }, patch)).code).toBe(200);
    const { exitCode, stdout } = await rollout;
    expect(exitCode).toBe(0);
    expect(stdout).toContain('deployment "rolling" successfully rolled out');
    expect(await run('get', 'deploy', 'rolling')).toMatch(/rolling +3\/3 +3 +3 /);
    await run('rollout', 'restart', 'deploy/rolling');
    expect((await server.call('GET', path)).body.metadata.generation).toBe(3);
  });

  test('edit, with an editor that is a script', async () => {
    const editor = join(server.directory, 'editor.sh');
    writeFileSync(editor, '#!/bin/sh\nsed -i "s/weight: 100/weight: 70/" "$1"\n');
    chmodSync(editor, 0o755);
    await run('create', 'namespace', 'edited');
    await feed(MANIFEST, 'apply', '-n', 'edited', '-f', '-');
    const { exitCode, stderr } = await server.kubectl(['edit', '-n', 'edited', 'vs', 'web'], {
      env: { KUBE_EDITOR: editor },
    });
    expect(stderr).toBe('');
    expect(exitCode).toBe(0);
    const path = 'jsonpath={.spec.http[0].route[0].weight}';
    expect(await run('get', '-n', 'edited', 'vs', 'web', '-o', path)).toBe('70');
  });

  test('wait for a condition, for JSON path and for deletion', async () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'waited' } };
    const spec = { containers: [{ name: 'c', image: 'host' }] };
    await feed(JSON.stringify({ ...pod, spec }), 'apply', '-f', '-');
    const ready = server.kubectl(['wait', '--for=condition=Ready', 'pod/waited', '--timeout=30s']);
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    const path = '/api/v1/namespaces/default/pods/waited/status';
    const patch = { contentType: 'application/strategic-merge-patch+json' };
    await server.call('PATCH', path, { status }, patch);
    expect((await ready).stdout).toBe('pod/waited condition met\n');
    await run('wait', '--for=jsonpath={.status.phase}=Running', 'pod/waited', '--timeout=30s');
    const gone = server.kubectl(['wait', '--for=delete', 'pod/waited', '--timeout=30s']);
    await run('delete', 'pod', 'waited');
    expect((await gone).exitCode).toBe(0);
  });

  const watchedPath = '/api/v1/namespaces/default/configmaps/watched';
  const changeWatched = (keys: number) =>
    server.call(
      'PATCH',
      watchedPath,
      { data: { [`key${keys}`]: 'x' } },
      { contentType: 'application/merge-patch+json' },
    );

  /** The numbers of keys that a watch prints, until `enough` of them; `onCount` is told of each as it comes. */
  async function watchedCounts(
    args: readonly string[],
    enough: number,
    onCount?: (count: number) => Promise<unknown>,
  ): Promise<number[]> {
    const watch = server.startKubectl([...args, '-w', '--no-headers']);
    const decoder = new TextDecoder();
    const counts: number[] = [];
    let shown = '';
    for await (const chunk of watch.stdout) {
      shown += decoder.decode(chunk, { stream: true });
      const lines = [...shown.matchAll(/^watched +(\d+) .*\n/gm)];
      for (const [, count] of lines.slice(counts.length)) {
        counts.push(Number(count));
        if (counts.length < enough) await onCount?.(Number(count));
      }
      if (counts.length >= enough) break;
    }
    watch.kill();
    await watch.exited;
    return counts;
  }

  test('get -w prints each change of a list as it happens', async () => {
    await run('create', 'configmap', 'watched');
    const list = ['get', 'cm', '--field-selector', 'metadata.name=watched'];
    const counts = await watchedCounts(list, 4, (count) => changeWatched(count + 1));
    expect(counts).toEqual([0, 1, 2, 3]);
    await run('delete', 'configmap', 'watched');
  });

  // Of a single object kubectl leaves out what its watch begins with: a change made before that is never printed.
  test('get NAME -w prints the changes since its watch is open', async () => {
    await run('create', 'configmap', 'watched');
    let changes = 0;
    const writer = setInterval(() => void changeWatched(++changes), 100);
    const counts = await watchedCounts(['get', 'cm', 'watched'], 4).finally(() =>
      clearInterval(writer),
    );
    expect(counts).toEqual([...new Set(counts)].sort((one, other) => one - other));
    expect(counts.at(-1)).toBeLessThanOrEqual(changes);
  });

  test('describe, api-resources, explain, version, columns of custom resources', async () => {
    await run('create', 'namespace', 'described');
    await feed(MANIFEST, 'apply', '-n', 'described', '-f', '-');
    const described = await run('describe', '-n', 'described', 'deploy', 'web');
    expect(described).toContain('RollingUpdateStrategy:  25% max unavailable, 25% max surge');
    expect(await run('describe', '-n', 'described', 'svc', 'web')).toContain('TargetPort:');
    expect(await run('describe', '-n', 'described', 'vs', 'web')).toContain(
      'API Version:  networking.istio.io/v1',
    );
    const resources = await run('api-resources', '-o', 'name');
    for (const name of [
      'pods',
      'deployments.apps',
      'virtualservices.networking.istio.io',
      'httproutes.gateway.networking.k8s.io',
    ])
      expect(resources.split('\n')).toContain(name);
    expect(await run('explain', 'vs.spec.http')).toContain('FIELD: http');
    expect(await run('explain', 'deployment.spec.replicas')).toContain('FIELD: replicas');
    expect(await run('version')).toContain('Server Version:');
    expect(await run('get', 'vs', '-n', 'described')).toMatch(
      /^NAME +GATEWAYS +HOSTS +AGE\nweb +\["web"\]/,
    );
    expect(await run('get', 'svc', '-n', 'described', '-o', 'wide')).toMatch(
      /web +ClusterIP +198\.19\.\d+\.\d+ +<none> +80\/TCP +\S+ +app=web/,
    );
  });

  test('wrong manifests are refused with the field and the reason', async () => {
    const unknown = MANIFEST.replace('targetPort: 8080', 'targetPort: 8080, colour: red');
    const strict = await server.kubectl(['create', '-f', '-'], { stdin: unknown });
    expect(strict.stderr).toContain('unknown field "spec.ports[0].colour"');
    const typed = MANIFEST.replace('weight: 100', 'weight: heavy');
    const invalid = await server.kubectl(['apply', '-f', '-'], { stdin: typed });
    expect(invalid.stderr).toContain('spec.http[0].route[0].weight');
    expect(invalid.exitCode).toBe(1);
  });
});
