/** The values as a tree, with defaults filled in; what is wrong with them is told all at once, as findings. */
import { MeshError } from '#base/errors.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { checkValues, type ValueFinding } from './check.ts';
import { VALUE_ROWS } from './spec.ts';

export interface Tree {
  [member: string]: unknown;
}

interface Placement {
  resources: Tree;
  nodeSelector: Record<string, string>;
  tolerations: readonly Tree[];
}

export interface Values {
  namespace: string;
  revision: string;
  image: {
    repository: string;
    tag: string;
    pullPolicy: 'Always' | 'IfNotPresent' | 'Never';
    pullSecrets: readonly { name: string }[];
  };
  trustDomain: string;
  clusterId: string;
  meshConfig: Tree;
  control: Placement & {
    replicas: number;
    affinity: Tree;
    logLevel: string;
    unenforcedPolicy: 'deny' | 'ignore';
    unreadyWaypoint: 'refuse' | 'bypass';
    consoleOpenTo: 'loopback' | 'none';
    consoleReadOnly: boolean;
    prometheusUrl: string;
    prometheusMatch: string;
  };
  node: Placement & {
    enabled: boolean;
    maxSurge: number | string;
    terminationGracePeriodSeconds: number;
    logLevel: string;
    logFormat: 'text' | 'json';
    dnsCapture: boolean;
  };
  cni: { binDir: string; confDir: string };
  resourceQuota: boolean;
  monitoring: { podMonitor: boolean; dashboards: boolean };
}

export function defaultValues(): Values {
  const tree: Tree = {};
  for (const row of VALUE_ROWS) setMember(tree, row.path.split('.'), structuredClone(row.default));
  return tree as unknown as Values;
}

/** Later layers win; objects are merged member by member, lists are replaced. Throws INSTALL_VALUES. */
export function valuesOf(layers: readonly Tree[]): Values {
  const chosen = mergeTrees(layers);
  const findings = checkValues(chosen);
  if (findings.length > 0) throw invalidValues(findings);
  return mergeTrees([defaultValues() as unknown as Tree, chosen]) as unknown as Values;
}

function invalidValues(findings: readonly ValueFinding[]): MeshError {
  const lines = findings.map(({ field, reason, remedy }) => `\n  ${field}: ${reason}; ${remedy}`);
  const count = findings.length === 1 ? 'a value is' : `${findings.length} values are`;
  return new MeshError('INSTALL_VALUES', `${count} wrong:${lines.join('')}`, {
    side: 'config',
    hint: INSTALL_ERRORS.INSTALL_VALUES,
  });
}

export function mergeTrees(layers: readonly Tree[]): Tree {
  const merged: Tree = {};
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer)) {
      const before = merged[name];
      merged[name] =
        isTree(before) && isTree(value) ? mergeTrees([before, value]) : structuredClone(value);
    }
  }
  return merged;
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function setMember(tree: Tree, path: readonly string[], value: unknown): void {
  let node = tree;
  for (const name of path.slice(0, -1)) {
    if (!isTree(node[name])) node[name] = {};
    node = node[name] as Tree;
  }
  node[path[path.length - 1]] = value;
}

export function memberAt(tree: unknown, path: readonly string[]): unknown {
  let node = tree;
  for (const name of path) node = isTree(node) ? node[name] : undefined;
  return node;
}
