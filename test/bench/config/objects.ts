/**
 * The cluster of the config case, as a Kubernetes API server would hand it out: objects of usual size, with what other
 * writers leave in them (managedFields, kubelet's status), deterministic in their number alone.
 */
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';

export interface ClusterSize {
  readonly namespaces: number;
  readonly nodes: number;
  readonly servicesPerNamespace: number;
  readonly podsPerService: number;
  /** In each namespace. */
  readonly virtualServices: number;
  readonly httpRoutes: number;
  readonly destinationRules: number;
  readonly policies: number;
  /** Namespaces, from the first, that have a waypoint. */
  readonly waypoints: number;
}

/** 10,000 pods, 2,000 services, 5,000 routes and policies, as the target is worded. */
export const LARGE: ClusterSize = {
  namespaces: 100,
  nodes: 50,
  servicesPerNamespace: 20,
  podsPerService: 5,
  virtualServices: 15,
  httpRoutes: 5,
  destinationRules: 10,
  policies: 20,
  waypoints: 20,
};

export const SMALL: ClusterSize = {
  namespaces: 2,
  nodes: 2,
  servicesPerNamespace: 3,
  podsPerService: 2,
  virtualServices: 2,
  httpRoutes: 1,
  destinationRules: 1,
  policies: 2,
  waypoints: 1,
};

export interface ClusterObject {
  readonly ref: ResourceRef;
  readonly object: KubeObject;
}

export const WAYPOINT = 'waypoint';

export const namespaceName = (index: number): string => `team-${index}`;
export const serviceName = (index: number): string => `shop-${index}`;
export const podName = (service: number, index: number): string =>
  `${serviceName(service)}-7d9c5b6f4-p${index}`;
export const routeName = (index: number): string => `split-${index}`;
export const policyName = (index: number): string => `callers-${index}`;
export const nodeName = (index: number): string => `node-${index}`;

export function clusterObjects(size: ClusterSize): ClusterObject[] {
  const objects: ClusterObject[] = [];
  const add = (ref: ResourceRef, object: object) =>
    void objects.push({ ref, object: withManagers(ref, object as KubeObject) });
  add(RESOURCES.namespaces, { metadata: { name: 'istio-system' } });
  add(RESOURCES.configMaps, {
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh: 'accessLogFile: /dev/stdout\n' },
  });
  for (let node = 0; node < size.nodes; node++) add(RESOURCES.nodes, nodeObject(node));
  for (let index = 0; index < size.namespaces; index++) addNamespace(size, index, add);
  return objects;
}

type Add = (ref: ResourceRef, object: object) => void;

function addNamespace(size: ClusterSize, index: number, add: Add): void {
  const namespace = namespaceName(index);
  const hasWaypoint = index < size.waypoints;
  add(RESOURCES.namespaces, {
    metadata: {
      name: namespace,
      labels: {
        'istio.io/dataplane-mode': 'ambient',
        'kubernetes.io/metadata.name': namespace,
        ...(hasWaypoint && { 'istio.io/use-waypoint': WAYPOINT }),
      },
    },
  });
  if (hasWaypoint) addWaypoint(index, add);
  for (let service = 0; service < size.servicesPerNamespace; service++) {
    add(RESOURCES.services, serviceObject(size, index, service));
    add(RESOURCES.endpointSlices, sliceObject(size, index, service));
    for (let pod = 0; pod < size.podsPerService; pod++)
      add(RESOURCES.pods, podObject(size, { namespace: index, service, pod }));
  }
  const host = (each: number) => serviceName(each % size.servicesPerNamespace);
  for (let each = 0; each < size.virtualServices; each++)
    add(RESOURCES.virtualServices, {
      metadata: { name: routeName(each), namespace },
      spec: virtualServiceSpec(host(each), { stable: 90, header: 'none' }),
    });
  for (let each = 0; each < size.httpRoutes; each++)
    add(RESOURCES.httpRoutes, {
      metadata: { name: `http-${each}`, namespace, generation: 1 },
      spec: httpRouteSpec(host(size.virtualServices + each)),
    });
  for (let each = 0; each < size.destinationRules; each++)
    add(RESOURCES.destinationRules, {
      metadata: { name: `versions-${each}`, namespace },
      spec: {
        host: host(each),
        trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5 } },
        subsets: ['stable', 'canary'].map((name) => ({ name, labels: { version: name } })),
      },
    });
  for (let each = 0; each < size.policies; each++)
    add(RESOURCES.authorizationPolicies, {
      metadata: { name: policyName(each), namespace, generation: 1 },
      spec: policySpec(host(each), 'none'),
    });
}

/** `stable` percent go there, the rest to the canary. */
export function virtualServiceSpec(host: string, options: { stable: number; header: string }) {
  const { stable, header } = options;
  const headers = { request: { set: { 'x-config': header } } };
  const match = [{ headers: { 'x-user': { exact: 'tester' } } }];
  return {
    hosts: [host],
    http: [
      { name: 'testers', match, route: [{ destination: { host, subset: 'canary' } }] },
      {
        name: 'split',
        headers,
        timeout: '10s',
        route: [
          { destination: { host, subset: 'stable' }, weight: stable },
          { destination: { host, subset: 'canary' }, weight: 100 - stable },
        ],
      },
    ],
  };
}

/** Callers of a service, one of them as given. */
export function policySpec(app: string, caller: string) {
  const principals = ['web', 'batch', caller].map((name) => `cluster.local/ns/team-0/sa/${name}`);
  return {
    selector: { matchLabels: { app } },
    action: 'ALLOW',
    rules: [{ from: [{ source: { principals } }], to: [{ operation: { ports: ['8080'] } }] }],
  };
}

function httpRouteSpec(service: string) {
  return {
    parentRefs: [{ group: '', kind: 'Service', name: service, port: 80 }],
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        backendRefs: [{ group: '', kind: 'Service', name: service, port: 80, weight: 1 }],
      },
    ],
  };
}

const clusterIp = (namespace: number, service: number) => `10.96.${namespace}.${service + 1}`;

function serviceObject(size: ClusterSize, namespace: number, service: number) {
  const app = serviceName(service);
  return {
    metadata: {
      name: app,
      namespace: namespaceName(namespace),
      labels: { app, team: namespaceName(namespace) },
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: clusterIp(namespace, service),
      clusterIPs: [clusterIp(namespace, service)],
      ipFamilies: ['IPv4'],
      selector: { app },
      ports: [
        { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP', appProtocol: 'http' },
        { name: 'grpc', port: 9090, targetPort: 'grpc', protocol: 'TCP' },
      ],
      sessionAffinity: 'None',
    },
    status: { loadBalancer: {}, ...(size.waypoints > namespace && { conditions: [] }) },
  };
}

function sliceObject(size: ClusterSize, namespace: number, service: number) {
  const app = serviceName(service);
  return {
    metadata: {
      name: `${app}-x2k9q`,
      namespace: namespaceName(namespace),
      labels: {
        'kubernetes.io/service-name': app,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
    },
    addressType: 'IPv4',
    endpoints: Array.from({ length: size.podsPerService }, (_, pod) => ({
      addresses: [podIp(size, { namespace, service, pod })],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: {
        kind: 'Pod',
        namespace: namespaceName(namespace),
        name: podName(service, pod),
        uid: `pod-${namespace}-${service}-${pod}`,
      },
      nodeName: nodeName((service * size.podsPerService + pod) % size.nodes),
    })),
    ports: [
      { name: 'http', port: 8080, protocol: 'TCP' },
      { name: 'grpc', port: 9000, protocol: 'TCP' },
    ],
  };
}

interface PodPlace {
  readonly namespace: number;
  readonly service: number;
  readonly pod: number;
}

function podIp(size: ClusterSize, { namespace, service, pod }: PodPlace): string {
  const nth = service * size.podsPerService + pod;
  return `10.${namespace + 100}.${nth >> 8}.${nth & 255}`;
}

export function podObject(size: ClusterSize, place: PodPlace): object {
  const app = serviceName(place.service);
  const nth = place.service * size.podsPerService + place.pod;
  const node = nth % size.nodes;
  const version = place.pod % 5 === 0 ? 'canary' : 'stable';
  const probe = {
    httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' },
    periodSeconds: 10,
    failureThreshold: 3,
  };
  const mount = {
    name: 'kube-api-access',
    mountPath: '/var/run/secrets/kubernetes.io',
    readOnly: true,
  };
  const ip = podIp(size, place);
  return {
    metadata: {
      name: podName(place.service, place.pod),
      namespace: namespaceName(place.namespace),
      uid: `pod-${place.namespace}-${place.service}-${place.pod}`,
      generateName: `${app}-7d9c5b6f4-`,
      labels: {
        app,
        version,
        'pod-template-hash': '7d9c5b6f4',
        team: namespaceName(place.namespace),
      },
      annotations: {
        'ambient.istio.io/redirection': 'enabled',
        'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z',
        'prometheus.io/scrape': 'true',
      },
      creationTimestamp: '2026-01-01T00:00:00Z',
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-7d9c5b6f4`,
          uid: 'rs',
          controller: true,
        },
      ],
    },
    spec: {
      nodeName: nodeName(node),
      serviceAccountName: app,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      tolerations: ['not-ready', 'unreachable'].map((key) => ({
        key: `node.kubernetes.io/${key}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      })),
      volumes: [{ name: 'kube-api-access', projected: { sources: [{ serviceAccountToken: {} }] } }],
      containers: [
        {
          name: 'app',
          image: `registry.example/${app}:1.2.3`,
          args: ['--listen', ':8080', '--log-format', 'json'],
          env: Array.from({ length: 12 }, (_, at) => ({
            name: `SETTING_${at}`,
            value: `value of ${app} ${at}`,
          })),
          ports: [
            { name: 'http', containerPort: 8080, protocol: 'TCP' },
            { name: 'grpc', containerPort: 9000, protocol: 'TCP' },
          ],
          resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
          readinessProbe: probe,
          livenessProbe: probe,
          volumeMounts: [mount],
        },
      ],
    },
    status: podStatus(ip, node),
  };
}

export function podStatus(ip: string, node: number) {
  const conditions = [
    'PodReadyToStartContainers',
    'Initialized',
    'Ready',
    'ContainersReady',
    'PodScheduled',
  ];
  return {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    hostIP: `172.16.0.${node + 1}`,
    conditions: conditions.map((type) => ({
      type,
      status: 'True',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    })),
    containerStatuses: [
      {
        name: 'app',
        ready: true,
        restartCount: 0,
        image: 'registry.example/app:1.2.3',
        imageID:
          'registry.example/app@sha256:5f4dcc3b5aa765d61d8327deb882cf995f4dcc3b5aa765d61d8327deb882cf99',
        containerID:
          'containerd://5f4dcc3b5aa765d61d8327deb882cf995f4dcc3b5aa765d61d8327deb882cf99',
        state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
      },
    ],
    qosClass: 'Burstable',
  };
}

function addWaypoint(index: number, add: Add): void {
  const namespace = namespaceName(index);
  const address = `10.97.0.${index + 1}`;
  const labels = {
    'gateway.networking.k8s.io/gateway-name': WAYPOINT,
    'gateway.istio.io/managed': 'istio.io-mesh-controller',
  };
  add(RESOURCES.gateways, {
    metadata: { name: WAYPOINT, namespace, generation: 1 },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    },
    status: { addresses: [{ type: 'IPAddress', value: address }] },
  });
  add(RESOURCES.services, {
    metadata: { name: WAYPOINT, namespace, labels },
    spec: {
      type: 'ClusterIP',
      clusterIP: address,
      clusterIPs: [address],
      selector: { 'gateway.networking.k8s.io/gateway-name': WAYPOINT },
      ports: [{ name: 'mesh', port: 15008, targetPort: 15008, protocol: 'TCP' }],
    },
  });
}

function nodeObject(index: number) {
  const name = nodeName(index);
  return {
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'topology.kubernetes.io/region': 'north',
        'topology.kubernetes.io/zone': `north-${index % 3}`,
      },
    },
    spec: { podCIDR: `10.${index}.0.0/24` },
    status: {
      addresses: [{ type: 'InternalIP', address: `172.16.0.${index + 1}` }],
      images: Array.from({ length: 40 }, (_, at) => ({
        names: [`registry.example/image-${at}@sha256:5f4dcc3b5aa765d61d8327deb882cf99`],
        sizeBytes: 100_000_000 + at,
      })),
    },
  };
}

/** What a server adds: kind, uid, and who owns which field, which is the larger half of many objects. */
function withManagers(ref: ResourceRef, object: KubeObject): KubeObject {
  const { metadata, ...rest } = object;
  const fields = fieldsOf(rest);
  const managers = ['kubectl-client-side-apply', 'kube-controller-manager'];
  return {
    ...rest,
    apiVersion: ref.group === '' ? ref.version : `${ref.group}/${ref.version}`,
    kind: ref.kind,
    metadata: {
      ...metadata,
      uid: metadata.uid ?? `${ref.resource}-${metadata.namespace ?? ''}-${metadata.name}`,
      managedFields: managers.map((manager, at) => ({
        manager,
        operation: 'Update',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: at === 0 ? fields : { 'f:metadata': { 'f:labels': {} } },
      })),
    },
  } as KubeObject;
}

/** As server-side apply writes it: `f:` and the field's name, down to the leaves. */
function fieldsOf(value: unknown): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  if (typeof value !== 'object' || value === null) return fields;
  for (const [name, each] of Object.entries(value))
    fields[Array.isArray(value) ? `k:{"name":"${name}"}` : `f:${name}`] = fieldsOf(each);
  return fields;
}
