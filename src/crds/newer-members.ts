/**
 * Members that Istio and Gateway API gained after the release the packages were made from. Added as refinements, so
 * that a resource written for the newer release is neither pruned nor warned about.
 */
import type { Schema } from '#config/schema/schema.ts';
import type { Refinement } from './refine.ts';

function text(description: string, more: Partial<Schema> = {}): Schema {
  return { type: 'string', description, ...more };
}

function texts(description: string): Schema {
  return { type: 'array', items: { type: 'string' }, description };
}

function uint32(description: string, more: Partial<Schema> = {}): Schema {
  return { type: 'integer', minimum: 0, maximum: 4294967295, description, ...more };
}

function flag(description: string): Schema {
  return { type: 'boolean', nullable: true, description };
}

function object(
  description: string,
  properties: Record<string, Schema>,
  required?: string[],
): Schema {
  return {
    type: 'object',
    description,
    properties,
    ...(required === undefined ? {} : { required }),
  };
}

export const HTTP2_KEEPALIVE: Record<string, Schema> = {
  http2KeepAlive: object('Keepalive pings on HTTP/2 connections to the upstream.', {
    interval: text('Time between pings.'),
    timeout: text('How long to wait for the answer to a ping.'),
  }),
};

const LOCALITY_FAILOVER: Schema = {
  type: 'array',
  description: 'Where traffic of a failed locality goes.',
  items: {
    type: 'object',
    properties: { from: text('Locality that fails.'), to: text('Locality that takes over.') },
  },
};

const ZONE_AWARE: Record<string, Schema> = {
  zoneAwareLbSetting: object('Keep traffic in its zone as far as capacity allows.', {
    enabled: flag('Overrides the mesh-wide setting.'),
    failover: LOCALITY_FAILOVER,
    failoverPriority: texts('Labels that order the endpoints by closeness.'),
    minClusterSize: uint32('Fewer endpoints than this are balanced without regard to zones.', {
      nullable: true,
      minimum: 1,
    }),
  }),
  backendUtilization: object('Balance by the load that endpoints report.', {}),
};

export const DESTINATION_RULE_MEMBERS: readonly Refinement[] = [
  { at: 'spec.**.connectionPool.http', add: HTTP2_KEEPALIVE },
  {
    at: 'spec.**.loadBalancer',
    add: ZONE_AWARE,
    set: {
      oneOf: [
        {
          not: {
            anyOf: [
              { required: ['simple'] },
              { required: ['consistentHash'] },
              { required: ['backendUtilization'] },
            ],
          },
        },
        { required: ['simple'] },
        { required: ['consistentHash'] },
        { required: ['backendUtilization'] },
      ],
    },
  },
  {
    at: 'spec.**.outlierDetection',
    add: {
      outlierDetectionHttpErrorCodes: {
        type: 'array',
        description: 'Response codes that count as errors, instead of all 5xx.',
        items: { type: 'integer', minimum: 100, maximum: 599 },
      },
    },
  },
  {
    at: 'spec.**.retryBudget',
    add: { budgetInterval: text('Window over which requests are counted.') },
  },
];

export const SIDECAR_MEMBERS: readonly Refinement[] = [
  {
    at: ['spec.inboundConnectionPool.http', 'spec.ingress[].connectionPool.http'],
    add: HTTP2_KEEPALIVE,
  },
];

const SERVER_TLS: Record<string, Schema> = {
  insecureSkipVerify: flag('Do not verify the client certificate.'),
  ecdhCurves: texts('Key exchange groups, best first.'),
};

export function serverTlsMembers(at: string): Refinement {
  return { at, add: SERVER_TLS };
}

export const AUTHORIZATION_MEMBERS: Refinement = {
  at: 'spec.rules[].from[].source',
  add: {
    trustDomains: texts('Trust domains of the peer identity.'),
    notTrustDomains: texts('Trust domains that do not match.'),
  },
};

export const REQUEST_AUTHENTICATION_MEMBERS: Refinement = {
  at: 'spec.jwtRules[]',
  add: {
    presence: text('Whether a request must carry a token.', { enum: ['OPTIONAL', 'REQUIRED'] }),
  },
};

export const TELEMETRY_MEMBERS: Refinement = {
  at: 'spec.tracing[]',
  add: { disableContextPropagation: flag('Do not pass trace headers on.') },
};

export const ENVOY_FILTER_MEMBERS: Refinement = {
  at: 'spec.configPatches[].match.listener.filterChain',
  add: { transportSocket: text('Name of the transport socket to match.') },
};

const HEADER_NAME: Partial<Schema> = {
  minLength: 1,
  maxLength: 256,
  pattern: "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$",
};

export function sessionMembers(at: string): Refinement {
  return {
    at,
    add: {
      cookie: object('The cookie that carries the session.', {
        name: text('Cookie name.', HEADER_NAME),
        path: text('Cookie path.', { maxLength: 1024, default: '/' }),
        lifetimeType: text('Whether the cookie outlives the browser session.', {
          enum: ['Permanent', 'Session'],
          default: 'Session',
        }),
      }),
      header: object(
        'The header that carries the session.',
        { name: text('Header name.', HEADER_NAME) },
        ['name'],
      ),
    },
  };
}
