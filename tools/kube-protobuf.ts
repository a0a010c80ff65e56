/**
 * Writes src/apiserver/protobuf/generated/fields.json: the field numbers of the built-in kinds, read from the
 * generated.proto files of k8s.io/api and k8s.io/apimachinery (Apache-2.0).
 * Run: bun tools/kube-protobuf.ts API_CHECKOUT APIMACHINERY_CHECKOUT
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOTS = [
  'core.v1.Binding',
  'core.v1.ConfigMap',
  'core.v1.Endpoints',
  'core.v1.Event',
  'core.v1.Namespace',
  'core.v1.Node',
  'core.v1.Pod',
  'core.v1.Secret',
  'core.v1.Service',
  'core.v1.ServiceAccount',
  'apps.v1.Deployment',
  'apps.v1.ReplicaSet',
  'authentication.v1.SelfSubjectReview',
  'authentication.v1.TokenRequest',
  'authentication.v1.TokenReview',
  'authorization.v1.SelfSubjectAccessReview',
  'authorization.v1.SubjectAccessReview',
  'autoscaling.v1.Scale',
  'admissionregistration.v1.MutatingWebhookConfiguration',
  'admissionregistration.v1.ValidatingWebhookConfiguration',
  'coordination.v1.Lease',
  'discovery.v1.EndpointSlice',
  'events.v1.Event',
  'policy.v1.Eviction',
  'rbac.v1.ClusterRole',
  'rbac.v1.ClusterRoleBinding',
  'rbac.v1.Role',
  'rbac.v1.RoleBinding',
  'meta.v1.DeleteOptions',
];

const MACHINERY: Record<string, string> = {
  'meta.v1': 'pkg/apis/meta/v1',
  runtime: 'pkg/runtime',
  intstr: 'pkg/util/intstr',
  resource: 'pkg/api/resource',
};

const SCALARS = new Set([
  'string',
  'bool',
  'int32',
  'int64',
  'uint32',
  'uint64',
  'bytes',
  'double',
]);
const FIELD = /^\s*(optional|repeated)\s+([\w.]+)\s+(\w+)\s*=\s*(\d+);/;
const MAP = /^\s*map<(\w+),\s*([\w.]+)>\s+(\w+)\s*=\s*(\d+);/;

const [api, machinery] = process.argv.slice(2);
const messages = new Map<string, Map<string, string>>();

function load(pkg: string): Map<string, string> {
  const known = messages.get(pkg);
  if (known !== undefined) return known;
  const folder = MACHINERY[pkg];
  const path = folder === undefined ? join(api, pkg.replace('.', '/')) : join(machinery, folder);
  const found = new Map<string, string>();
  messages.set(pkg, found);
  let name = '';
  let fields: string[] = [];
  for (const line of readFileSync(join(path, 'generated.proto'), 'utf8').split('\n')) {
    const opening = /^message (\w+) \{/.exec(line);
    if (opening !== null) {
      name = opening[1];
      fields = [];
    } else if (line === '}') found.set(name, fields.join(';'));
    else fields.push(...fieldOf(line, pkg));
  }
  return found;
}

function fieldOf(line: string, pkg: string): string[] {
  const field = FIELD.exec(line);
  if (field !== null) {
    const type = typeName(field[2], pkg);
    return [`${field[4]} ${field[3]} ${field[1] === 'repeated' ? '*' : ''}${type}`];
  }
  const map = MAP.exec(line);
  return map === null ? [] : [`${map[4]} ${map[3]} %${typeName(map[2], pkg)}`];
}

function typeName(type: string, pkg: string): string {
  if (SCALARS.has(type)) return type;
  // A leading dot makes a name absolute: `.k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta`.
  const full = type.replace(/^\./, '');
  const absolute =
    /^k8s\.io\.(?:api|apimachinery\.pkg\.apis|apimachinery\.pkg|apimachinery\.pkg\.(?:api|util))\.(.+)$/;
  const match = absolute.exec(full);
  if (match === null) return `${pkg}.${full}`;
  return match[1]
    .replace(/^apis\./, '')
    .replace(/^util\./, '')
    .replace(/^api\./, '');
}

const table: Record<string, string> = {};
const queue = [...ROOTS];
for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
  if (table[next] !== undefined) continue;
  const dot = next.lastIndexOf('.');
  const fields = load(next.slice(0, dot)).get(next.slice(dot + 1));
  if (fields === undefined) throw new Error(`no message ${next}`);
  table[next] = fields;
  for (const field of fields.split(';')) {
    const type = (field.split(' ')[2] ?? 'string').replace(/^[*%]/, '');
    if (!SCALARS.has(type)) queue.push(type);
  }
}
const sorted = Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));
const out = new URL('../src/apiserver/protobuf/generated/fields.json', import.meta.url);
writeFileSync(out, `${JSON.stringify(sorted, null, 1)}\n`);
