/** Objects of configuration as rows, as text, and what they name. Pure. */
import { stringify } from 'yaml';
import type { ConfigAnswer, ConfigRow, Finding } from '../api/config.ts';
import type { ConfigView, MeshView, ServiceView } from '../mesh-view.ts';
import { asObject, effectOf, list, text } from './effects.ts';
import { namesService, resourceOf } from './names.ts';

export function configRow(view: ConfigView, findings: readonly Finding[]): ConfigRow {
  const { kind, apiVersion, namespace, name, createdAt, enforced } = view;
  const resource = resourceOf(view);
  return {
    kind,
    apiVersion,
    namespace,
    name,
    createdAt,
    summary: effectOf(view),
    findings: findings.filter((finding) => finding.resource === resource),
    ...(enforced !== undefined && { enforced }),
  };
}

export function configAnswer(view: ConfigView, mesh: MeshView, isEditable: boolean): ConfigAnswer {
  const objects = [...mesh.config()];
  const services = [...mesh.services()];
  const own = resourceOf(view);
  return {
    ...configRow(view, mesh.findings()),
    yaml: stringify(asWritten(view.object)),
    resourceVersion: view.resourceVersion,
    references: referencesOf(view, services),
    referencedBy: objects
      .filter((other) => referencesOf(other, services).includes(own))
      .map(resourceOf)
      .filter((resource) => resource !== own)
      .sort(),
    isEditable,
  };
}

const SERVER_FIELDS = [
  'managedFields',
  'resourceVersion',
  'generation',
  'uid',
  'creationTimestamp',
  'selfLink',
];

/** Without what the API server and controllers write. */
export function asWritten(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { apiVersion, kind, metadata, status: _status, ...content } = object;
  const kept = Object.entries(asObject(metadata)).filter(([name]) => !SERVER_FIELDS.includes(name));
  return { apiVersion, kind, metadata: Object.fromEntries(kept), ...content };
}

/** `Kind namespace/name` that the object speaks of, sorted. */
export function referencesOf(view: ConfigView, services: readonly ServiceView[]): string[] {
  const found = new Set<string>();
  const { namespace } = view;
  const host = (value: unknown) => {
    const name = text(value);
    if (name === '' || name.startsWith('*')) return;
    const service = services.find((each) => namesService(name, namespace, each));
    if (service !== undefined) found.add(`${service.kind} ${service.namespace}/${service.name}`);
  };
  const reference = (value: unknown, usual: string) => {
    const ref = asObject(value);
    const name = text(ref.name);
    if (name !== '')
      found.add(`${text(ref.kind) || usual} ${text(ref.namespace) || namespace}/${name}`);
  };
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const each of value) walk(each);
      return;
    }
    for (const [name, each] of Object.entries(asObject(value))) {
      if (name === 'parentRefs') for (const ref of list(each)) reference(ref, 'Gateway');
      else if (name === 'parentRef') reference(each, 'Gateway');
      else if (name === 'targetRefs') for (const ref of list(each)) reference(ref, 'Service');
      else if (name === 'targetRef') reference(each, 'Service');
      else if (name === 'backendRefs') for (const ref of list(each)) reference(ref, 'Service');
      else if (name === 'backendRef') reference(each, 'Service');
      else if (name === 'certificateRefs') for (const ref of list(each)) reference(ref, 'Secret');
      else if (name === 'caCertificateRefs')
        for (const ref of list(each)) reference(ref, 'ConfigMap');
      else if (name === 'delegate') reference(each, 'VirtualService');
      else if (name === 'gatewayClassName') found.add(`GatewayClass ${text(each)}`);
      else if (name === 'destination' || name === 'mirror') host(asObject(each).host);
      walk(each);
    }
  };
  const spec = asObject(view.object.spec);
  if (view.kind === 'VirtualService') {
    for (const each of list(spec.hosts)) host(each);
    for (const each of list(spec.gateways).map(text))
      if (each !== 'mesh')
        found.add(`Gateway ${each.includes('/') ? each : `${namespace}/${each}`}`);
  }
  if (view.kind === 'DestinationRule') host(spec.host);
  walk(spec);
  return [...found].sort();
}
