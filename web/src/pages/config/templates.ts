/** First texts of new objects: the smallest that does something sensible. */

const NAMED = (apiVersion: string, kind: string, namespace: string, spec: string) =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ""\n  namespace: ${namespace}\nspec:\n${spec}`;

const SPECS: Readonly<Record<string, readonly [apiVersion: string, spec: string]>> = {
  AuthorizationPolicy: [
    'security.istio.io/v1',
    '  targetRefs:\n    - kind: Service\n      group: ""\n      name: ""\n  action: ALLOW\n  rules:\n    - from:\n        - source:\n            principals: []\n',
  ],
  PeerAuthentication: ['security.istio.io/v1', '  mtls:\n    mode: STRICT\n'],
  RequestAuthentication: [
    'security.istio.io/v1',
    '  targetRefs:\n    - kind: Service\n      group: ""\n      name: ""\n  jwtRules:\n    - issuer: ""\n',
  ],
  VirtualService: [
    'networking.istio.io/v1',
    '  hosts:\n    - ""\n  http:\n    - route:\n        - destination:\n            host: ""\n',
  ],
  DestinationRule: ['networking.istio.io/v1', '  host: ""\n  trafficPolicy: {}\n'],
  ServiceEntry: [
    'networking.istio.io/v1',
    '  hosts:\n    - ""\n  location: MESH_EXTERNAL\n  resolution: DNS\n  ports:\n    - number: 443\n      name: tls\n      protocol: TLS\n',
  ],
  HTTPRoute: [
    'gateway.networking.k8s.io/v1',
    '  parentRefs:\n    - group: ""\n      kind: Service\n      name: ""\n  rules:\n    - backendRefs:\n        - name: ""\n          port: 80\n',
  ],
  Gateway: [
    'gateway.networking.k8s.io/v1',
    '  gatewayClassName: istio-waypoint\n  listeners:\n    - name: mesh\n      port: 15008\n      protocol: HBONE\n',
  ],
  Telemetry: ['telemetry.istio.io/v1', '  tracing:\n    - randomSamplingPercentage: 10\n'],
};

export const TEMPLATE_KINDS = Object.keys(SPECS);

export function templateOf(kind: string, namespace: string): string {
  const [apiVersion, spec] = SPECS[kind] ?? SPECS[TEMPLATE_KINDS[0]];
  return NAMED(apiVersion, kind in SPECS ? kind : TEMPLATE_KINDS[0], namespace, spec);
}
