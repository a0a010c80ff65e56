import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INGESTED } from '#control/ingest/ingest.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { REFS } from '../cluster/refs.ts';
import { valuesOf } from '../values/values.ts';
import { manifests } from './manifests.ts';
import type { ManifestObject } from './object.ts';
import { GRANTS } from './rbac-rules.ts';

const objects = manifests(valuesOf([])).map(({ object }) => object);

function podOf(kind: string) {
  const found = objects.find((object) => object.kind === kind) as ManifestObject & {
    spec: { template: { spec: Record<string, unknown> & { containers: Container[] } } };
  };
  return found.spec.template.spec;
}

interface Container {
  image: string;
  args: string[];
  securityContext: Record<string, unknown>;
  ports?: unknown;
  env: { name: string; value?: string }[];
}

describe('manifests', () => {
  test('come in the order of their needs: namespace, accounts and rights, configuration, what runs', () => {
    const rank = ['Namespace', 'ServiceAccount', 'ConfigMap', 'Deployment', 'DaemonSet'];
    const first = rank.map((kind) => objects.findIndex((object) => object.kind === kind));
    expect(first).toEqual([...first].sort((a, b) => a - b));
    expect(first).not.toContain(-1);
  });

  test('are of kinds that can be applied, each once', () => {
    for (const { kind } of objects) expect(kind in REFS).toBe(true);
    const names = objects.map(
      ({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`,
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test('a revision has names of its own, and shares the node proxies', () => {
    const canary = manifests(valuesOf([{ revision: 'canary' }]));
    const own = canary.filter(({ scope }) => scope === 'revision').map(({ object }) => object);
    const names = new Set(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
    expect(own.filter(({ kind, metadata }) => names.has(`${kind} ${metadata.name}`))).toEqual([]);
    const shared = canary.filter(({ scope }) => scope === 'shared').map(({ object }) => object);
    expect(shared.map(({ metadata }) => metadata.name)).toContain('ztunnel');
  });

  test('node.enabled=false leaves out everything of the node proxies', () => {
    const without = manifests(valuesOf([{ node: { enabled: false } }]));
    expect(JSON.stringify(without.map(({ object }) => object))).not.toContain('ztunnel');
  });

  test('control runs restricted', () => {
    const pod = podOf('Deployment');
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  test('a node proxy has the three capabilities it needs, and no port that would keep a successor away', () => {
    const [container] = podOf('DaemonSet').containers;
    expect(container.securityContext).toMatchObject({
      privileged: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN', 'SYS_PTRACE'] },
    });
    expect(container.ports).toBeUndefined();
  });

  test('the grace that a node proxy is told is the one that its pod has', () => {
    const pod = manifests(valuesOf([{ node: { terminationGracePeriodSeconds: 77 } }]))
      .map(({ object }) => object)
      .find(({ kind }) => kind === 'DaemonSet');
    const text = JSON.stringify(pod);
    expect(text).toContain('"terminationGracePeriodSeconds":77');
    expect(text).toContain('{"name":"TERMINATION_GRACE_PERIOD_SECONDS","value":"77"}');
  });

  test('MeshConfig holds what was chosen beside trust domain and root namespace', () => {
    const values = valuesOf([
      { trustDomain: 'td', meshConfig: { pathNormalization: { normalization: 'NONE' } } },
    ]);
    const mesh = manifests(values).find(({ object }) => object.metadata.name === 'istio');
    expect(mesh?.object.data).toEqual({
      mesh: 'pathNormalization:\n  normalization: NONE\nrootNamespace: istio-system\ntrustDomain: td',
    });
  });
});

describe('GRANTS', () => {
  const may = (
    part: 'control' | 'node',
    verb: string,
    resource: { group: string; resource: string },
  ) =>
    GRANTS.some(
      (grant) =>
        grant.part === part &&
        grant.verbs.includes(verb) &&
        grant.groups.includes(resource.group) &&
        (grant.resources.includes(resource.resource) || grant.resources.includes('*')),
    );

  test('control may read every kind that it ingests', () => {
    const missing = Object.values(INGESTED).flatMap((resource) =>
      ['get', 'list', 'watch']
        .filter((verb) => !may('control', verb, resource))
        .map((verb) => `${verb} ${resource.resource}.${resource.group}`),
    );
    expect(missing).toEqual([]);
  });

  test('no part of control or the node agent names a kind that it has no right to', () => {
    const rows = [
      ['control', 'src/control'],
      ['node', 'src/node'],
    ] as const;
    const missing = rows.flatMap(([part, folder]) =>
      kindsNamedIn(folder).filter(
        (name) => !touches(part, RESOURCES[name as keyof typeof RESOURCES]),
      ),
    );
    expect(missing).toEqual([]);
  });

  function touches(
    part: 'control' | 'node',
    { group, resource }: { group: string; resource: string },
  ) {
    return GRANTS.some(
      (grant) =>
        grant.part === part &&
        grant.groups.includes(group) &&
        grant.resources.some((each) => each === '*' || each.split('/')[0] === resource),
    );
  }

  function kindsNamedIn(folder: string): string[] {
    const root = join(import.meta.dir, '../../..', folder);
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
      // A machine that joins asks with a kubeconfig of its own, not as the node agent.
      (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.startsWith('machine/'),
    );
    const text = files.map((name) => readFileSync(join(root, name), 'utf8')).join('\n');
    return [...new Set([...text.matchAll(/RESOURCES\.(\w+)/g)].map((match) => match[1]))];
  }

  test('each right has a reason, and none is for everything', () => {
    for (const { why, verbs, groups, resources } of GRANTS) {
      expect(why).not.toBe('');
      expect([...verbs, ...groups]).not.toContain('*');
      expect(resources.length).toBeGreaterThan(0);
    }
  });
});
