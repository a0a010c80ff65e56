/**
 * What Istio's API server answers beyond types: CEL rules, nullable wrappers and list keys, by kind. Messages are the
 * contract (users and tests match them); the expressions are ours.
 */
import {
  AUTHORIZATION_MEMBERS,
  DESTINATION_RULE_MEMBERS,
  ENVOY_FILTER_MEMBERS,
  REQUEST_AUTHENTICATION_MEMBERS,
  SIDECAR_MEMBERS,
  serverTlsMembers,
  TELEMETRY_MEMBERS,
} from './newer-members.ts';
import { atMostOne, type Refinement, rule } from './refine.ts';

const PORT = rule('port must be between 1-65535', 'self > 0 && self < 65536');
const DURATION = rule(
  'must be a valid duration greater than 1ms',
  "duration(self) >= duration('1ms')",
);
const NULLABLE: Refinement['set'] = { nullable: true };

const LABEL_KEYS = [
  rule('wildcard not allowed in label key match', "!self.exists(key, key.contains('*'))"),
  rule('key must not be empty', "!('' in self)"),
];
const LABEL_VALUE = [rule('wildcard not allowed in label value match', "!self.contains('*')")];

function durations(...at: string[]): Refinement {
  return { at, rules: [DURATION] };
}

function nullable(...at: string[]): Refinement {
  return { at, set: NULLABLE };
}

function matchLabels(at: string): Refinement[] {
  return [
    { at, rules: LABEL_KEYS },
    { at: `${at}{}`, rules: LABEL_VALUE },
  ];
}

function plainLabels(at: string): Refinement {
  return {
    at: `${at}{}`,
    rules: [rule('wildcard is not supported in selector', "!self.contains('*')")],
  };
}

function sameNamespaceOnly(...at: string[]): Refinement {
  return {
    at,
    rules: [rule('cross namespace referencing is not currently supported', "self == ''")],
  };
}

/** Policies attach by a label selector or by references, never both. */
function attachment(): Refinement[] {
  return [
    {
      at: 'spec',
      rules: [
        atMostOne(
          'only one of targetRefs or selector can be set',
          'selector',
          'targetRef',
          'targetRefs',
        ),
      ],
    },
    ...matchLabels('spec.selector.matchLabels'),
    sameNamespaceOnly('spec.targetRef.namespace', 'spec.targetRefs[].namespace'),
  ];
}

function connectionPool(at: string): Refinement[] {
  return [
    durations(
      `${at}.http.http2KeepAlive.interval`,
      `${at}.http.http2KeepAlive.timeout`,
      `${at}.http.idleTimeout`,
      `${at}.tcp.connectTimeout`,
      `${at}.tcp.maxConnectionDuration`,
      `${at}.tcp.tcpKeepalive.interval`,
      `${at}.tcp.tcpKeepalive.time`,
    ),
  ];
}

function workloadEntry(at: string, addressNeeded: boolean): Refinement[] {
  const portless = rule(
    'UDS may not include ports',
    "!(has(self.address) && self.address.startsWith('unix://') && has(self.ports))",
  );
  const address = rule('Address is required', 'has(self.address) || has(self.network)');
  return [
    { at, rules: addressNeeded ? [address, portless] : [portless] },
    {
      at: `${at}.address`,
      rules: [
        rule(
          'UDS must be an absolute path or abstract socket',
          "!self.startsWith('unix://') || self.startsWith('unix:///') || self.startsWith('unix://@')",
        ),
        rule('UDS may not be a dir', "!(self.startsWith('unix://') && self.endsWith('/'))"),
      ],
    },
    {
      at: `${at}.ports`,
      rules: [
        rule(
          'port name must be valid',
          "self.all(name, name.size() < 63 && name.matches('^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$'))",
        ),
      ],
    },
    { at: `${at}.ports{}`, rules: [PORT] },
  ];
}

function serverTls(at: string): Refinement[] {
  return [
    serverTlsMembers(at),
    {
      at,
      rules: [
        atMostOne(
          'only one of credentialNames or tlsCertificates can be set',
          'credentialNames',
          'tlsCertificates',
        ),
        atMostOne(
          'only one of credentialName or credentialNames can be set',
          'credentialName',
          'credentialNames',
        ),
        atMostOne(
          'only one of credentialName or tlsCertificates can be set',
          'credentialName',
          'tlsCertificates',
        ),
      ],
    },
  ];
}

const destinationRule: Refinement[] = [
  ...DESTINATION_RULE_MEMBERS,
  ...connectionPool('spec.**.connectionPool'),
  durations(
    'spec.**.loadBalancer.warmup.duration',
    'spec.**.loadBalancer.warmupDurationSecs',
    'spec.**.outlierDetection.baseEjectionTime',
    'spec.**.outlierDetection.interval',
  ),
  nullable(
    'spec.**.localityLbSetting.enabled',
    'spec.**.warmup.aggression',
    'spec.**.warmup.minimumPercent',
    'spec.**.outlierDetection.consecutive5xxErrors',
    'spec.**.outlierDetection.consecutiveGatewayErrors',
    'spec.**.outlierDetection.consecutiveLocalOriginFailures',
    'spec.**.tls.insecureSkipVerify',
    'spec.**.retryBudget.percent',
  ),
  ...matchLabels('spec.workloadSelector.matchLabels'),
];

const virtualService: Refinement[] = [
  durations(
    'spec.http[].corsPolicy.maxAge',
    'spec.http[].fault.delay.exponentialDelay',
    'spec.http[].fault.delay.fixedDelay',
    'spec.http[].retries.backoff',
    'spec.http[].retries.perTryTimeout',
    'spec.http[].timeout',
  ),
  nullable(
    'spec.http[].corsPolicy.allowCredentials',
    'spec.http[].mirrorPercent',
    'spec.http[].mirror_percent',
    'spec.http[].retries.retryIgnorePreviousHosts',
    'spec.http[].retries.retryRemoteLocalities',
  ),
];

const serviceEntry: Refinement[] = [
  {
    at: 'spec',
    rules: [
      atMostOne(
        'only one of WorkloadSelector or Endpoints can be set',
        'workloadSelector',
        'endpoints',
      ),
      rule(
        'CIDR addresses are allowed only for NONE/STATIC resolution types',
        "!has(self.addresses) || !self.addresses.exists(a, a.contains('/')) || !has(self.resolution) || self.resolution in ['NONE', 'STATIC']",
      ),
      rule(
        'NONE mode cannot set endpoints',
        "has(self.resolution) && self.resolution != 'NONE' || !has(self.endpoints)",
      ),
      rule(
        'DNS_ROUND_ROBIN mode cannot have multiple endpoints',
        "!(has(self.resolution) && self.resolution == 'DNS_ROUND_ROBIN' && has(self.endpoints) && self.endpoints.size() > 1)",
      ),
    ],
  },
  ...workloadEntry('spec.endpoints[]', true),
  { at: 'spec.hosts[]', rules: [rule('hostname cannot be wildcard', "self != '*'")] },
  {
    at: 'spec.ports',
    set: { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
    rules: [
      rule(
        'port number cannot be duplicated',
        'self.all(port, self.exists_one(other, other.number == port.number))',
      ),
    ],
  },
  { at: ['spec.ports[].number', 'spec.ports[].targetPort'], rules: [PORT] },
  plainLabels('spec.workloadSelector.labels'),
];

const envoyFilter: Refinement[] = [
  { at: 'spec.configPatches[].match.waypoint.portNumber', rules: [PORT] },
  ENVOY_FILTER_MEMBERS,
  {
    at: 'spec.configPatches[].patch.operation',
    set: {
      enum: 'INVALID MERGE ADD REMOVE INSERT_BEFORE INSERT_AFTER INSERT_FIRST REPLACE MERGE_AND_REPLACE_LIST'.split(
        ' ',
      ),
    },
  },
  {
    at: 'spec',
    rules: [
      atMostOne(
        'only one of targetRefs or workloadSelector can be set',
        'workloadSelector',
        'targetRefs',
      ),
    ],
  },
  {
    at: 'spec.configPatches[].match',
    rules: [
      rule(
        'only support waypointMatch when context is WAYPOINT',
        "has(self.waypoint) == (has(self.context) && self.context == 'WAYPOINT')",
      ),
    ],
  },
  { at: 'spec.configPatches[].patch.value', set: { 'x-kubernetes-preserve-unknown-fields': true } },
  sameNamespaceOnly('spec.targetRefs[].namespace'),
  plainLabels('spec.workloadSelector.labels'),
];

const authorizationPolicy: Refinement[] = [
  AUTHORIZATION_MEMBERS,
  ...attachment(),
  {
    at: 'spec.rules[].from[].source',
    rules: [
      rule(
        'Cannot set serviceAccounts with namespaces or principals',
        '!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || !(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))',
      ),
    ],
  },
];

const peerAuthentication: Refinement[] = [
  ...matchLabels('spec.selector.matchLabels'),
  {
    at: 'spec',
    rules: [
      rule(
        'portLevelMtls requires selector',
        '!has(self.portLevelMtls) || has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0',
      ),
    ],
  },
  {
    at: 'spec.portLevelMtls',
    rules: [
      rule('port must be between 1-65535', 'self.all(port, int(port) > 0 && int(port) < 65536)'),
    ],
  },
];

const requestAuthentication: Refinement[] = [
  REQUEST_AUTHENTICATION_MEMBERS,
  ...attachment(),
  {
    at: 'spec.jwtRules[]',
    rules: [atMostOne('only one of jwks or jwksUri can be set', 'jwksUri', 'jwks_uri', 'jwks')],
  },
  {
    at: ['spec.jwtRules[].jwksUri', 'spec.jwtRules[].jwks_uri'],
    rules: [
      rule(
        'url must have scheme http:// or https://',
        "url(self).getScheme() in ['http', 'https']",
      ),
    ],
  },
  durations('spec.jwtRules[].timeout'),
];

const telemetry: Refinement[] = [
  TELEMETRY_MEMBERS,
  ...attachment(),
  {
    at: 'spec.metrics[].overrides[].tagOverrides{}',
    rules: [
      rule(
        'value must be set when operation is UPSERT',
        "!(has(self.operation) && self.operation == 'UPSERT') || has(self.value) && self.value != ''",
      ),
      rule(
        'value must not be set when operation is REMOVE',
        "!(has(self.operation) && self.operation == 'REMOVE' && has(self.value))",
      ),
    ],
  },
  durations('spec.metrics[].reportingInterval'),
  nullable(
    'spec.accessLogging[].disabled',
    'spec.metrics[].overrides[].disabled',
    'spec.tracing[].disableSpanReporting',
    'spec.tracing[].enableIstioTags',
    'spec.tracing[].randomSamplingPercentage',
    'spec.tracing[].useRequestIdForTraceSampling',
  ),
];

const WASM_SCHEMES = "['', 'http', 'https', 'oci', 'file']";

const wasmPlugin: Refinement[] = [
  ...attachment(),
  nullable('spec.priority'),
  { at: 'spec.pluginConfig', set: { 'x-kubernetes-preserve-unknown-fields': true } },
  {
    at: 'spec.match[].ports',
    set: { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['number'] },
  },
  {
    at: 'spec.url',
    rules: [
      rule(
        'url must have schema one of [http, https, file, oci]',
        `isURL(self) ? url(self).getScheme() in ${WASM_SCHEMES} : isURL('http://' + self)`,
      ),
    ],
  },
  {
    at: 'spec.vmConfig.env',
    set: { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
  },
  {
    at: 'spec.vmConfig.env[]',
    rules: [
      rule(
        'value may only be set when valueFrom is INLINE',
        "!(has(self.value) && has(self.valueFrom) && self.valueFrom == 'HOST')",
      ),
    ],
  },
];

const workloadGroup: Refinement[] = [
  ...workloadEntry('spec.template', false),
  {
    at: ['spec.probe.httpGet.port', 'spec.probe.tcpSocket.port', 'spec.probe.grpc.port'],
    rules: [PORT],
  },
  {
    at: 'spec.probe.httpGet.scheme',
    rules: [rule('scheme must be one of [HTTP, HTTPS]', "self in ['', 'HTTP', 'HTTPS']")],
  },
];

export const ISTIO_REFINEMENTS: Record<string, readonly Refinement[]> = {
  DestinationRule: destinationRule,
  VirtualService: virtualService,
  Gateway: [...serverTls('spec.servers[].tls')],
  ServiceEntry: serviceEntry,
  Sidecar: [
    ...SIDECAR_MEMBERS,
    ...connectionPool('spec.inboundConnectionPool'),
    ...connectionPool('spec.ingress[].connectionPool'),
    ...serverTls('spec.ingress[].tls'),
    plainLabels('spec.workloadSelector.labels'),
  ],
  WorkloadEntry: workloadEntry('spec', true),
  WorkloadGroup: workloadGroup,
  ProxyConfig: [...matchLabels('spec.selector.matchLabels'), nullable('spec.concurrency')],
  EnvoyFilter: envoyFilter,
  AuthorizationPolicy: authorizationPolicy,
  PeerAuthentication: peerAuthentication,
  RequestAuthentication: requestAuthentication,
  Telemetry: telemetry,
  WasmPlugin: wasmPlugin,
};
