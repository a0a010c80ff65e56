/**
 * Adds to the world of files what a request names and they lack: its destination, what routes lead to, a waypoint where rules need one and
 * nothing is said of waypoints at all. Files that describe the services of a namespace are taken at their word.
 */

import { LABEL, namespaceOf } from '#control/derive/mesh.ts';
import type { Gateway, Service as KubeService } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { materialNamed } from './assumed-material.ts';
import { assumedAddress, podFor, runningPod, waypointParts } from './assumed-objects.ts';
import type { WhyRequest } from './contract.ts';
import { routedHosts } from './routed-hosts.ts';
import { findTarget, kubernetesName, serviceNamed } from './target.ts';
import type { World } from './world.ts';

export function assumeMissing(world: World, request: WhyRequest, namespace: string): void {
  if (world.files === undefined) return;
  const { host, port } = request.destination;
  assumeWorkload(world, request);
  if (request.gateway === undefined && findTarget(world, { host, namespace }) === undefined) {
    const hostname = destinationName(world, host, namespace);
    if (hostname !== undefined)
      assumeService(world, hostname, {
        ports: [port],
        protocol: protocolOf(request),
        by: 'the request',
      });
  }
  assumeGateway(world, request);
  assumeRouted(world, request);
  assumeWaypoint(world, request, namespace);
}

/** Names without a dot, and those of namespaces that the files know, are services; others are hosts elsewhere. */
function destinationName(world: World, host: string, namespace: string): string | undefined {
  const { domain } = world.settings;
  const name = host.toLowerCase();
  if (/^[\d.]+$/.test(name) || name.includes(':') || name.includes('*')) return undefined;
  if (kubernetesName(name, domain) !== undefined) return name;
  const [first, second, third, ...more] = name.split('.');
  if (second === undefined) return `${first}.${namespace}.svc.${domain}`;
  const isKnown = third === 'svc' || knowsNamespace(world, second) || second === namespace;
  return isKnown && more.length === 0 && (third === undefined || third === 'svc')
    ? `${first}.${second}.svc.${domain}`
    : undefined;
}

function knowsNamespace({ mesh }: World, name: string): boolean {
  if (mesh.sources.namespaces.get(name) !== undefined) return true;
  for (const [, { metadata }] of mesh.sources.virtualServices.entries())
    if (metadata.namespace === name) return true;
  for (const [, { metadata }] of mesh.sources.services.entries())
    if (metadata.namespace === name) return true;
  return name === 'default';
}

function protocolOf({ protocol, sni }: WhyRequest): string {
  if (protocol === 'https') return 'tls';
  return protocol ?? (sni === undefined ? 'http' : 'tls');
}

/** What routes lead to; namespaces whose services the files hold have no others. */
function assumeRouted(world: World, request: WhyRequest): void {
  const { domain } = world.settings;
  const ports = new Map<string, { ports: Set<number>; by: string }>();
  for (const { host, namespace, port, by } of routedHosts(world)) {
    const place = kubernetesName(host, domain);
    if (place === undefined || world.files?.has('Service', place.namespace)) continue;
    const own = { port: port ?? request.destination.port };
    const known = serviceNamed(world, host, namespace);
    const note = world.files?.notes.get(`Service ${place.namespace}/${place.name}`);
    if (known?.ports.some(({ servicePort }) => servicePort === own.port)) continue;
    if (known !== undefined && (note === undefined || port === undefined)) continue;
    const entry = ports.get(host) ?? {
      ports: new Set(known?.ports.map(({ servicePort }) => servicePort)),
      by,
    };
    ports.set(host, entry);
    entry.ports.add(own.port);
  }
  for (const [host, entry] of ports)
    assumeService(world, host, {
      ports: [...entry.ports],
      protocol: protocolOf(request),
      by: entry.by,
    });
}

function assumeService(
  world: World,
  hostname: string,
  { ports, protocol, by }: { ports: readonly number[]; protocol: string; by: string },
): void {
  const place = kubernetesName(hostname, world.settings.domain);
  const { files } = world;
  if (place === undefined || files === undefined) return;
  const { name, namespace } = place;
  const service: KubeService = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      clusterIP: assumedAddress(),
      selector: { app: name },
      ports: ports.map((port) => ({ name: `${protocol}-${port}`, port })),
    },
  };
  const note = `Service ${namespace}/${name} exists with port ${ports.join(', ')} (${protocol}) and ready endpoints: ${by} names it, no file holds it`;
  files.assume(service, note);
  assumePod(world, podFor(service), note);
}

function assumePod({ mesh, files }: World, pod: Parameters<typeof runningPod>[0], note: string) {
  const labels = mesh.sources.namespaces.get(namespaceOf(pod))?.metadata.labels ?? {};
  files?.assume(runningPod(pod, labels, files.saysNothingOfAmbient), note);
}

function assumeWorkload(world: World, { destination }: WhyRequest): void {
  const { workload, host } = destination;
  if (workload === undefined) return;
  const [namespace, name] = workload.split('/');
  if (world.mesh.sources.pods.get(workload) !== undefined) return;
  if (world.mesh.sources.workloadEntries.get(workload) !== undefined) return;
  const isAddress = /^[\d.]+$/.test(host) || host.includes(':');
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name } },
    spec: { containers: [] },
    ...(isAddress && { status: { podIP: host } }),
  };
  assumePod(world, pod, `Pod ${workload} runs: the request names it, no file holds it`);
}

/** A Gateway that the request names: one listener on the port that is dialled, for routes of every namespace. */
function assumeGateway(world: World, request: WhyRequest): void {
  const { files, mesh } = world;
  const { gateway: key, destination, protocol } = request;
  if (files === undefined || key === undefined || mesh.sources.gateways.get(key)) return;
  const sections = gatewaySections(world, key);
  if (sections === undefined) return;
  const [namespace, name] = key.split('/');
  const { port } = destination;
  const listenerOf = (own: number, section: string) => ({
    name: section,
    port: own,
    protocol: own === port ? listenerProtocol(protocol) : 'HTTP',
    allowedRoutes: { namespaces: { from: 'All' as const } },
    ...(own === port && protocol === 'tls' && { tls: { mode: 'Passthrough' } }),
    ...(own === port &&
      protocol === 'https' && { tls: { certificateRefs: [{ name: ASSUMED_SECRET }] } }),
  });
  const others = [...sections.ports].filter((each) => each !== port);
  const gateway: Gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { namespace, name },
    spec: {
      gatewayClassName: 'istio',
      listeners: [
        listenerOf(port, sections.name ?? 'default'),
        ...others.map((each) => listenerOf(each, `port-${each}`)),
      ],
    },
  };
  const note = `Gateway ${key} listens on port ${port} (${listenerProtocol(protocol)}) for routes of every namespace: no file holds it`;
  if (protocol === 'https') files.assume(materialNamed(namespace, ASSUMED_SECRET), note);
  files.assume(gateway, note);
}

const ASSUMED_SECRET = 'assumed-certificate';

function listenerProtocol(protocol: WhyRequest['protocol']): string {
  if (protocol === 'https') return 'HTTPS';
  return protocol === 'tls' || protocol === 'tcp' ? protocol.toUpperCase() : 'HTTP';
}

/** How routes refer to a Gateway; undefined: none does. */
function gatewaySections(
  { mesh }: World,
  key: string,
): { name: string | undefined; ports: ReadonlySet<number> } | undefined {
  const { sources } = mesh;
  const ports = new Set<number>();
  let name: string | undefined;
  let isNamed = false;
  for (const routes of [
    sources.httpRoutes,
    sources.grpcRoutes,
    sources.tcpRoutes,
    sources.tlsRoutes,
  ]) {
    for (const [, object] of routes.entries())
      for (const ref of object.spec?.parentRefs ?? []) {
        const isOurs = (ref.kind ?? 'Gateway') === 'Gateway';
        if (!isOurs || `${ref.namespace ?? namespaceOf(object)}/${ref.name}` !== key) continue;
        isNamed = true;
        name ??= ref.sectionName;
        if (ref.port !== undefined) ports.add(ref.port);
      }
  }
  for (const [, object] of sources.listenerSets.entries()) {
    const parent = object.spec?.parentRef;
    if (`${parent?.namespace ?? namespaceOf(object)}/${parent?.name}` === key) isNamed = true;
  }
  return isNamed ? { name, ports } : undefined;
}

/** Only where the files tell of no capture and no waypoint: else they are taken at their word. */
function assumeWaypoint(world: World, request: WhyRequest, namespace: string): void {
  const { files, mesh, settings } = world;
  if (files?.saysNothingOfAmbient !== true || request.gateway !== undefined) return;
  if (request.mode === 'sidecar') return;
  const target = findTarget(world, { host: request.destination.host, namespace });
  if (target?.kind !== 'service') return;
  const { service } = target;
  const rule = ruleFor(world, service);
  const place = kubernetesName(service.hostname, settings.domain);
  const key = `${service.namespace}/${place?.name ?? service.name}`;
  const object: KubeObject | undefined =
    place === undefined
      ? mesh.sources.serviceEntries.get(`${service.namespace}/${service.name}`)
      : mesh.sources.services.get(key);
  if (rule === undefined || object === undefined) return;
  if (object.metadata.labels?.[LABEL.useWaypoint] !== undefined) return;
  const { namespace: own } = service;
  const note = `a waypoint serves ${service.hostname}: ${rule.object} is for it, and no file says anything of waypoints`;
  const gateway: Gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: rule.waypoint, namespace: own },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    },
    status: {
      addresses: [{ type: 'Hostname', value: `${rule.waypoint}.${own}.svc.${settings.domain}` }],
    },
  };
  const parts = waypointParts(gateway);
  const { metadata } = object;
  files.assume(gateway, note);
  const withAddress = { ...parts.service.spec, clusterIP: assumedAddress() };
  files.assume({ ...parts.service, spec: withAddress } as KubeService, note);
  files.assume(runningPod(parts.pod, {}, false), note);
  const labels = { ...metadata.labels, [LABEL.useWaypoint]: rule.waypoint };
  files.assume(
    { ...object, metadata: { ...metadata, labels } },
    files.notes.get(`${object.kind} ${key}`) ?? note,
  );
}

/** The first object whose rules only a waypoint acts on. */
function ruleFor(
  { mesh }: World,
  service: { hostname: string; namespace: string; name: string },
): { object: string; waypoint: string } | undefined {
  const found = (object: string, waypoint = 'waypoint') => ({ object, waypoint });
  const { virtualServices } = mesh.parts.routes;
  for (const [key, { hosts, gateways }] of virtualServices.entries()) {
    if (!gateways.includes('mesh')) continue;
    const takes = (host: string) =>
      host === service.hostname ||
      (host.startsWith('*') && service.hostname.endsWith(host.slice(1)));
    if (hosts.some(takes)) return found(`VirtualService ${key}`);
  }
  const { sources } = mesh;
  for (const routes of [
    sources.httpRoutes,
    sources.grpcRoutes,
    sources.tcpRoutes,
    sources.tlsRoutes,
  ]) {
    for (const [key, object] of routes.entries()) {
      const isFor = (object.spec?.parentRefs ?? []).some(
        (ref) =>
          (ref.kind === 'Service' || ref.kind === 'ServiceEntry') &&
          ref.name === service.name &&
          (ref.namespace ?? namespaceOf(object)) === service.namespace,
      );
      if (isFor) return found(`${object.kind} ${key}`);
    }
  }
  for (const policies of [sources.authorizationPolicies, sources.requestAuthentications]) {
    for (const [key, object] of policies.entries()) {
      const { targetRefs = [], targetRef } = object.spec ?? {};
      if (namespaceOf(object) !== service.namespace) continue;
      for (const ref of [...targetRefs, ...(targetRef ? [targetRef] : [])]) {
        const isService = ref.kind === 'Service' || ref.kind === 'ServiceEntry';
        if (isService && ref.name === service.name) return found(`${object.kind} ${key}`);
        if (ref.kind === 'Gateway') return found(`${object.kind} ${key}`, ref.name);
      }
    }
  }
  return undefined;
}
