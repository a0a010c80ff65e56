/** Our own kinds (tulle.dev/v1) as CustomResourceDefinitions: what config/compile/tulle-kinds.ts reads. */
import type { Schema, ValidationRule } from '#config/schema/schema.ts';
import type { CustomResourceDefinition } from './builtin-crds.ts';

const GROUP = 'tulle.dev';

const text = (description: string, part: Schema = {}): Schema => ({
  type: 'string',
  description,
  ...part,
});
const integer = (description: string, minimum: number, maximum: number): Schema => ({
  type: 'integer',
  description,
  minimum,
  maximum,
});
function object(
  description: string,
  properties: Record<string, Schema>,
  { required = [], rules = [] }: { required?: string[]; rules?: ValidationRule[] } = {},
): Schema {
  return {
    type: 'object',
    description,
    properties,
    ...(required.length > 0 && { required }),
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
  };
}

const NAME = { minLength: 1, maxLength: 253 };
const DURATION = { pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$' };

function targetRefs(kinds: readonly string[], description: string): Schema {
  const properties: Record<string, Schema> = {
    group: text('API group of the target; empty for the core group.', {
      default: '',
      maxLength: 253,
    }),
    kind: text('Kind of the target.', { enum: [...kinds] }),
    name: text('Name of the target, in the namespace of this object.', NAME),
  };
  if (kinds.includes('VirtualService')) {
    properties.sectionName = text(
      'Name of one route of a VirtualService or HTTPRoute; without it all of them.',
      NAME,
    );
  }
  const items = object('One target.', properties, {
    required: ['kind', 'name'],
    rules: kinds.includes('VirtualService')
      ? [
          {
            rule: "!has(self.sectionName) || self.kind in ['VirtualService', 'HTTPRoute', 'GRPCRoute']",
            message:
              'sectionName names a route: only VirtualService, HTTPRoute and GRPCRoute have some',
          },
        ]
      : [],
  });
  return { type: 'array', description, items, minItems: 1, maxItems: 16 };
}

const RATE_LIMIT_SPEC = object(
  'What may pass. Each proxy counts for itself: with two waypoint replicas twice as much passes.',
  {
    targetRefs: targetRefs(
      ['Service', 'ServiceEntry', 'Gateway', 'VirtualService', 'HTTPRoute', 'GRPCRoute'],
      'What is limited: a service, everything behind a waypoint or gateway, or routes.',
    ),
    limits: {
      type: 'array',
      description: 'All of them must let a request pass.',
      minItems: 1,
      maxItems: 16,
      items: object(
        'One kind of bucket.',
        {
          requests: integer('Requests that pass in each unit.', 1, 100_000_000),
          unit: text('The time in which as many requests pass.', {
            enum: ['Second', 'Minute', 'Hour', 'Day'],
          }),
          burst: integer(
            'Requests that may pass at once after a quiet time; as many as `requests` when absent.',
            1,
            100_000_000,
          ),
          key: text('Whose requests share a bucket.', {
            enum: ['Overall', 'SourceIdentity', 'SourceAddress', 'Header'],
            default: 'Overall',
          }),
          header: text('The header whose values have a bucket each.', {
            minLength: 1,
            maxLength: 256,
            pattern: "^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$",
          }),
        },
        {
          required: ['requests', 'unit'],
          rules: [
            {
              rule: "(self.key == 'Header') == has(self.header)",
              message: 'header goes with key Header, and key Header with it',
            },
          ],
        },
      ),
    },
  },
  { required: ['targetRefs', 'limits'] },
);

const LOAD_SHEDDING_SPEC = object(
  'How much a proxy takes on. Each proxy decides for itself.',
  {
    targetRefs: targetRefs(
      ['Service', 'ServiceEntry', 'Gateway'],
      'What is protected: a service, or everything behind a waypoint or gateway.',
    ),
    maxRequests: integer('Requests in flight at most.', 1, 10_000_000),
    adaptive: object('The bound finds itself from how answer times change with load.', {
      minRequests: integer('The bound never falls below this.', 1, 1_000_000),
      tolerancePercent: integer(
        'Answer times may grow to this percentage of the unloaded ones.',
        101,
        10_000,
      ),
    }),
    eventLoopLag: text('Refuse requests while the proxy itself is late by this much.', DURATION),
    priority: object(
      'Less important requests are refused first.',
      {
        header: text('The header that names the class of a request.', {
          minLength: 1,
          maxLength: 256,
        }),
        classes: {
          type: 'array',
          description:
            'From the most important down; a request of none of them counts as the last.',
          items: text('Value of the header.', { minLength: 1, maxLength: 256 }),
          minItems: 2,
          maxItems: 16,
        },
      },
      { required: ['header', 'classes'] },
    ),
    retryAfterSeconds: integer('What refused clients are told to wait; 1 when absent.', 1, 3600),
  },
  {
    required: ['targetRefs'],
    rules: [
      {
        rule: 'has(self.maxRequests) || has(self.adaptive) || has(self.eventLoopLag)',
        message: 'one of maxRequests, adaptive and eventLoopLag is needed',
      },
    ],
  },
);

interface OwnKind {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly spec: Schema;
}

const KINDS: readonly OwnKind[] = [
  { kind: 'LocalRateLimit', plural: 'localratelimits', shortName: 'lrl', spec: RATE_LIMIT_SPEC },
  { kind: 'LoadShedding', plural: 'loadsheddings', shortName: 'ls', spec: LOAD_SHEDDING_SPEC },
];

export function tulleCrds(): CustomResourceDefinition[] {
  return KINDS.map(({ kind, plural, shortName, spec }) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: { 'app.kubernetes.io/part-of': 'tulle' } },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['tulle'],
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          additionalPrinterColumns: [
            { name: 'Target', type: 'string', jsonPath: '.spec.targetRefs[*].name' },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          // Last, as in a table that was read: see `expand` of crd-cache.ts.
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                apiVersion: text('The group and version of the representation.'),
                kind: text('The kind of the object.'),
                metadata: { type: 'object' },
                spec,
              },
              required: ['spec'],
            },
          },
        },
      ],
      conversion: { strategy: 'None' },
    },
  }));
}
