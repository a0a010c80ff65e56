/** Defaults, list types and CEL rules of the Gateway API kinds that are not HTTP or gRPC routes. */
import type { ValidationRule } from '#config/schema/schema.ts';
import {
  ATOMIC,
  fallback,
  GATEWAY_ROUTES,
  GROUP,
  keyed,
  sessionPersistence,
} from './gateway-refinements.ts';
import { type Refinement, rule } from './refine.ts';

const DNS_NAME = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';

function metadataKeys(word: string): ValidationRule[] {
  const pattern = `^(${DNS_NAME}/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$`;
  return [
    rule(
      `${word} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters.`,
      `self.all(key, key.matches(r"${pattern}"))`,
    ),
    rule(
      `If specified, the ${word.toLowerCase()} key's prefix must be a DNS subdomain not longer than 253 characters in total.`,
      "self.all(key, key.split('/')[0].size() < 253)",
    ),
  ];
}

/** The same of Gateways and ListenerSets, the words too. */
function listenerRules(): ValidationRule[] {
  return [
    rule(
      "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
      "!self.exists(l, l.protocol in ['HTTP', 'TCP', 'UDP'] && has(l.tls))",
    ),
    rule(
      'tls mode must be Terminate for protocol HTTPS',
      "!self.exists(l, l.protocol == 'HTTPS' && has(l.tls) && has(l.tls.mode) && !(l.tls.mode in ['', 'Terminate']))",
    ),
    rule(
      'tls mode must be set for protocol TLS',
      "!self.exists(l, l.protocol == 'TLS' && !(has(l.tls) && has(l.tls.mode) && l.tls.mode != ''))",
    ),
    rule(
      "hostname must not be specified for protocols ['TCP', 'UDP']",
      "!self.exists(l, l.protocol in ['TCP', 'UDP'] && has(l.hostname) && l.hostname != '')",
    ),
    rule(
      'Listener name must be unique within the Gateway',
      'self.all(a, self.exists_one(b, a.name == b.name))',
    ),
    rule(
      'Combination of port, protocol and hostname must be unique for each listener',
      'self.all(a, self.exists_one(b, a.port == b.port && a.protocol == b.protocol && has(a.hostname) == has(b.hostname) && (!has(a.hostname) || a.hostname == b.hostname)))',
    ),
  ];
}

function listeners(): Refinement[] {
  return [
    { at: 'spec.listeners', set: keyed('name'), rules: listenerRules() },
    {
      at: 'spec.listeners[].tls',
      rules: [
        rule(
          'certificateRefs or options must be specified when mode is Terminate',
          "!has(self.mode) || self.mode != 'Terminate' || (has(self.certificateRefs) && self.certificateRefs.size() > 0) || (has(self.options) && self.options.size() > 0)",
        ),
      ],
    },
    fallback({ namespaces: { from: 'Same' } }, 'spec.listeners[].allowedRoutes'),
    fallback({ from: 'Same' }, 'spec.listeners[].allowedRoutes.namespaces'),
    fallback('Same', 'spec.listeners[].allowedRoutes.namespaces.from'),
    fallback(GROUP, 'spec.listeners[].allowedRoutes.kinds[].group'),
    fallback('Terminate', 'spec.listeners[].tls.mode'),
    {
      at: ['spec.listeners[].tls.certificateRefs', 'spec.listeners[].allowedRoutes.kinds'],
      set: ATOMIC,
    },
    fallback('', 'spec.listeners[].tls.certificateRefs[].group'),
    fallback('Secret', 'spec.listeners[].tls.certificateRefs[].kind'),
    { at: 'status.conditions', set: keyed('type') },
    { at: 'status.listeners', set: keyed('name') },
    { at: 'status.listeners[].conditions', set: keyed('type') },
  ];
}

function uniqueAddress(type: string): ValidationRule {
  return rule(
    `${type} values must be unique`,
    `self.all(a, a.type != '${type}' || !has(a.value) || self.exists_one(b, b.type == a.type && has(b.value) && b.value == a.value))`,
  );
}

const gateway: Refinement[] = [
  ...listeners(),
  {
    at: 'spec.addresses',
    set: ATOMIC,
    rules: [uniqueAddress('IPAddress'), uniqueAddress('Hostname')],
  },
  fallback('IPAddress', 'spec.addresses[].type'),
  {
    at: 'spec.addresses[]',
    rules: [
      rule(
        `Hostname value must be empty or contain only valid characters (matching ^(\\*\\.)?${DNS_NAME}$)`,
        `self.type != 'Hostname' || !has(self.value) || self.value.matches(r"^(\\*\\.)?${DNS_NAME}$")`,
      ),
    ],
  },
  { at: 'spec.infrastructure.labels', rules: metadataKeys('Label') },
  {
    at: 'spec.addresses[]',
    set: {
      oneOf: [
        {
          properties: {
            type: { enum: ['IPAddress'] },
            value: { anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
          },
        },
        { properties: { type: { not: { enum: ['IPAddress'] } } } },
      ],
    },
  },
  {
    at: 'spec.infrastructure.annotations',
    set: { maxProperties: 16 },
    rules: metadataKeys('Annotation'),
  },
  fallback('', 'spec.tls.backend.clientCertificateRef.group'),
  fallback('Secret', 'spec.tls.backend.clientCertificateRef.kind'),
  fallback('AllowValidOnly', 'spec.tls.frontend.**.validation.mode'),
  { at: 'spec.tls.frontend.**.validation.caCertificateRefs', set: { maxItems: 16 } },
  fallback({ from: 'None' }, 'spec.allowedListeners.namespaces'),
  fallback('None', 'spec.allowedListeners.namespaces.from'),
  {
    at: 'spec.tls.frontend.perPort',
    set: keyed('port'),
    rules: [
      rule(
        'Port for TLS configuration must be unique within the Gateway',
        'self.all(a, self.exists_one(b, a.port == b.port))',
      ),
    ],
  },
];

const gatewayClass: Refinement[] = [
  {
    at: 'spec',
    add: { description: { type: 'string', maxLength: 64, description: 'What the class is for.' } },
  },
  { at: 'spec.controllerName', rules: [rule('field is immutable', 'self == oldSelf')] },
  { at: 'status.conditions', set: keyed('type') },
];

const SAME_TARGET = 'a.group == b.group && a.kind == b.kind && a.name == b.name';
const TARGETS_TWICE = 'when targetRefs includes 2 or more references to the same target';
const SECTION = (item: string) => `(has(${item}.sectionName) ? ${item}.sectionName : '')`;

function altName(type: string, member: string): ValidationRule[] {
  const set = `has(self.${member}) && self.${member} != ''`;
  return [
    rule(
      `SubjectAltName element must contain ${type}, if Type is set to ${type}`,
      `self.type != '${type}' || ${set}`,
    ),
    rule(
      `SubjectAltName element must not contain ${type}, if Type is not set to ${type}`,
      `self.type == '${type}' || !(${set})`,
    ),
  ];
}

const CA_REFS = 'has(self.caCertificateRefs) && self.caCertificateRefs.size() > 0';
const WELL_KNOWN = "has(self.wellKnownCACertificates) && self.wellKnownCACertificates != ''";

const backendTlsPolicy: Refinement[] = [
  {
    at: 'spec.targetRefs',
    set: ATOMIC,
    rules: [
      rule(
        `sectionName must be specified ${TARGETS_TWICE}`,
        `self.all(a, self.all(b, !(${SAME_TARGET}) || (${SECTION('a')} == '') == (${SECTION('b')} == '')))`,
      ),
      rule(
        `sectionName must be unique ${TARGETS_TWICE}`,
        `self.all(a, self.exists_one(b, ${SAME_TARGET} && ${SECTION('a')} == ${SECTION('b')}))`,
      ),
    ],
  },
  {
    at: 'spec.validation',
    rules: [
      rule(
        'must not contain both CACertificateRefs and WellKnownCACertificates',
        `!(${CA_REFS} && ${WELL_KNOWN})`,
      ),
      rule(
        'must specify either CACertificateRefs or WellKnownCACertificates',
        `${CA_REFS} || ${WELL_KNOWN}`,
      ),
    ],
  },
  { at: ['spec.validation.caCertificateRefs', 'spec.validation.subjectAltNames'], set: ATOMIC },
  {
    at: 'spec.validation.subjectAltNames[]',
    rules: [...altName('Hostname', 'hostname'), ...altName('URI', 'uri')],
  },
];

const tlsRoute: Refinement[] = [
  ...GATEWAY_ROUTES.route(),
  {
    at: 'spec.hostnames',
    set: { ...ATOMIC, maxItems: 1024 },
    rules: [
      rule('Hostnames cannot contain an IP', 'self.all(h, !isIP(h))'),
      rule(
        'Hostnames must be valid based on RFC-1123',
        `self.all(h, h.contains('*') || h.matches(r"^${DNS_NAME}$"))`,
      ),
      rule(
        'Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123',
        `self.all(h, !h.contains('*') || h.startsWith('*.') && h.substring(2).matches(r"^${DNS_NAME}$"))`,
      ),
    ],
  },
];

const BUDGET = 'spec.retryConstraint.budget';
const MIN_RATE = 'spec.retryConstraint.minRetryRate';

const retryConstraint: Refinement[] = [
  fallback({ interval: '10s', percent: 20 }, BUDGET),
  fallback('10s', `${BUDGET}.interval`),
  fallback(20, `${BUDGET}.percent`),
  fallback({ count: 10, interval: '1s' }, MIN_RATE),
  {
    at: `${BUDGET}.interval`,
    rules: [
      rule(
        'interval cannot be greater than one hour or less than one second',
        "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
      ),
    ],
  },
  {
    at: `${MIN_RATE}.interval`,
    rules: [
      rule(
        'interval cannot be greater than one hour',
        "duration(self) != duration('0s') && duration(self) <= duration('1h')",
      ),
    ],
  },
];

const listenerSet: Refinement[] = [
  ...listeners(),
  fallback(GROUP, 'spec.parentRef.group'),
  fallback('Gateway', 'spec.parentRef.kind'),
];

export const GATEWAY_REFINEMENTS: Record<string, readonly Refinement[]> = {
  Gateway: gateway,
  GatewayClass: gatewayClass,
  HTTPRoute: GATEWAY_ROUTES.httpRoute,
  GRPCRoute: GATEWAY_ROUTES.grpcRoute,
  TCPRoute: [...GATEWAY_ROUTES.route(), { at: 'spec.rules', set: { maxItems: 1 } }],
  UDPRoute: [...GATEWAY_ROUTES.route(), { at: 'spec.rules', set: { maxItems: 1 } }],
  XBackendTrafficPolicy: [...sessionPersistence(), ...retryConstraint],
  TLSRoute: tlsRoute,
  BackendTLSPolicy: backendTlsPolicy,
  ListenerSet: listenerSet,
  ReferenceGrant: [
    { at: '', set: { required: ['spec'] } },
    { at: ['spec.from', 'spec.to'], set: ATOMIC },
  ],
};
