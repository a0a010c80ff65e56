/**
 * What the API server answers for Gateway API beyond types: defaults, list types and CEL rules, by kind. Both channels
 * are served at once, so a rule whose message differs between them stands twice. Expressions are ours.
 */
import type { Schema, ValidationRule } from '#config/schema/schema.ts';
import { sessionMembers } from './newer-members.ts';
import { type Refinement, rule } from './refine.ts';

const GROUP = 'gateway.networking.k8s.io';
const ATOMIC: Partial<Schema> = { 'x-kubernetes-list-type': 'atomic' };
const SET: Partial<Schema> = { 'x-kubernetes-list-type': 'set' };

function keyed(...keys: string[]): Partial<Schema> {
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys };
}

function fallback(value: unknown, ...at: string[]): Refinement {
  return { at, set: { default: value } };
}

/** `has(a.f) ? a.f : ''` compared between two items: absent and empty are the same. */
function same(field: string, empty: string): string {
  return `(has(a.${field}) ? a.${field} : ${empty}) == (has(b.${field}) ? b.${field} : ${empty})`;
}

function absent(item: string, field: string, empty: string): string {
  return `(!has(${item}.${field}) || ${item}.${field} == ${empty})`;
}

const SAME_PARENT = `a.group == b.group && a.kind == b.kind && a.name == b.name && ${same('__namespace__', "''")}`;
const BOTH_SECTION = `${absent('a', 'sectionName', "''")} == ${absent('b', 'sectionName', "''")}`;
const BOTH_PORT = `${absent('a', 'port', '0')} == ${absent('b', 'port', '0')}`;
const PORTLESS = 'self.all(p, !has(p.port) || p.port == 0)';
const TWICE = 'when parentRefs includes 2 or more references to the same parent';

const PARENT_RULES: ValidationRule[] = [
  rule(
    `sectionName or port must be specified ${TWICE}`,
    `self.all(a, self.all(b, !(${SAME_PARENT}) || ${BOTH_SECTION} && ${BOTH_PORT}))`,
  ),
  rule(
    `sectionName or port must be unique ${TWICE}`,
    `self.all(a, self.exists_one(b, ${SAME_PARENT} && ${same('sectionName', "''")} && ${same('port', '0')}))`,
  ),
  rule(
    `sectionName must be specified ${TWICE}`,
    `!(${PORTLESS}) || self.all(a, self.all(b, !(${SAME_PARENT}) || ${BOTH_SECTION}))`,
  ),
  rule(
    `sectionName must be unique ${TWICE}`,
    `!(${PORTLESS}) || self.all(a, self.exists_one(b, ${SAME_PARENT} && ${same('sectionName', "''")}))`,
  ),
];

const SERVICE_PORT = rule(
  'Must have port for Service reference',
  "!(self.group == '' && self.kind == 'Service') || has(self.port)",
);

function route(): Refinement[] {
  return [
    { at: 'spec.parentRefs', set: ATOMIC, rules: PARENT_RULES },
    fallback(GROUP, 'spec.parentRefs[].group'),
    fallback('Gateway', 'spec.parentRefs[].kind'),
    { at: 'spec.rules', set: ATOMIC, rules: [UNIQUE_RULE_NAME] },
    { at: 'spec.rules[].backendRefs', set: ATOMIC },
    { at: 'spec.rules[].backendRefs[]', rules: [SERVICE_PORT] },
    fallback('', 'spec.rules[].backendRefs[].group'),
    fallback('Service', 'spec.rules[].backendRefs[].kind'),
    fallback(1, 'spec.rules[].backendRefs[].weight'),
    { at: 'status.parents', set: ATOMIC },
  ];
}

const UNIQUE_RULE_NAME = rule(
  'Rule name must be unique within the route',
  'self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && a.name == b.name))',
);

function filterRules(members: Record<string, string>): ValidationRule[] {
  return Object.entries(members).flatMap(([type, member]) => [
    rule(
      `filter.${member} must be nil if the filter.type is not ${type}`,
      `!has(self.${member}) || self.type == '${type}'`,
    ),
    rule(
      `filter.${member} must be specified for ${type} filter.type`,
      `self.type != '${type}' || has(self.${member})`,
    ),
  ]);
}

function once(...types: string[]): ValidationRule[] {
  return types.map((type) =>
    rule(`${type} filter cannot be repeated`, `self.filter(f, f.type == '${type}').size() <= 1`),
  );
}

const GRPC_FILTERS = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  ExtensionRef: 'extensionRef',
};

const HTTP_FILTERS = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
};

const HEADER_VALUE = '^[!-~]+([\\t ]?[!-~]+)*$';

function commonFilters(members: Record<string, string>): Refinement[] {
  return [
    {
      at: 'spec.**.filters',
      set: ATOMIC,
      rules: once('RequestHeaderModifier', 'ResponseHeaderModifier'),
    },
    { at: 'spec.**.filters[]', rules: filterRules(members) },
    {
      at: ['requestHeaderModifier', 'responseHeaderModifier'].flatMap((name) => [
        `spec.**.filters[].${name}.add`,
        `spec.**.filters[].${name}.set`,
      ]),
      set: keyed('name'),
    },
    {
      at: ['requestHeaderModifier', 'responseHeaderModifier'].flatMap((name) => [
        `spec.**.filters[].${name}.add[].value`,
        `spec.**.filters[].${name}.set[].value`,
      ]),
      set: { pattern: HEADER_VALUE },
    },
    {
      at: [
        'spec.**.filters[].requestHeaderModifier.remove',
        'spec.**.filters[].responseHeaderModifier.remove',
      ],
      set: SET,
    },
    {
      at: 'spec.**.filters[].requestMirror',
      rules: [
        rule(
          'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter',
          '!(has(self.percent) && has(self.fraction))',
        ),
      ],
    },
    { at: 'spec.**.filters[].requestMirror.backendRef', rules: [SERVICE_PORT] },
    fallback('', 'spec.**.filters[].requestMirror.backendRef.group'),
    fallback('Service', 'spec.**.filters[].requestMirror.backendRef.kind'),
    fallback(100, 'spec.**.filters[].requestMirror.fraction.denominator'),
    {
      at: 'spec.**.filters[].requestMirror.fraction',
      rules: [
        rule(
          'numerator must be less than or equal to denominator',
          'self.numerator <= self.denominator',
        ),
      ],
    },
  ];
}

function sessionPersistence(): Refinement[] {
  const at = 'spec.**.sessionPersistence';
  return [
    sessionMembers(at),
    {
      at,
      rules: [
        rule(
          'AbsoluteTimeout must be specified when cookie lifetimeType is Permanent',
          "!(has(self.cookie) && has(self.cookie.lifetimeType) && self.cookie.lifetimeType == 'Permanent') || has(self.absoluteTimeout)",
        ),
        rule(
          'cookie must be nil if type is not Cookie',
          "!has(self.cookie) || self.type == 'Cookie'",
        ),
        rule(
          'cookie must be specified for Cookie type',
          "self.type != 'Cookie' || has(self.cookie) || has(self.cookieConfig) || has(self.sessionName)",
        ),
        rule(
          'header must be nil if type is not Header',
          "!has(self.header) || self.type == 'Header'",
        ),
        rule(
          'header must be specified for Header type',
          "self.type != 'Header' || has(self.header)",
        ),
      ],
    },
    fallback('Session', `${at}.cookieConfig.lifetimeType`),
    fallback('Cookie', `${at}.type`),
  ];
}

function prefixReplacement(
  where: string,
  name: string,
  member: string,
  inBackends: boolean,
): ValidationRule {
  const uses = (filters: string) =>
    `has(${filters}) && ${filters}.exists(f, has(f.${member}) && has(f.${member}.path) && f.${member}.path.type == 'ReplacePrefixMatch' && has(f.${member}.path.replacePrefixMatch))`;
  const used = inBackends
    ? `has(self.backendRefs) && self.backendRefs.exists(b, ${uses('b.filters')})`
    : uses('self.filters');
  return rule(
    `${where} using ${name} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified`,
    `!(${used}) || has(self.matches) && self.matches.size() == 1 && has(self.matches[0].path) && self.matches[0].path.type == 'PathPrefix'`,
  );
}

const PLAIN_PATH = "(self.type in ['Exact', 'PathPrefix'])";
const PATH_TYPES = "when type one of ['Exact', 'PathPrefix']";
const PATH_CHARACTERS = "^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$";

const PATH_RULES: ValidationRule[] = [
  rule(
    `value must be an absolute path and start with '/' ${PATH_TYPES}`,
    `!${PLAIN_PATH} || self.value.startsWith('/')`,
  ),
  ...['//', '/./', '/../', '%2f', '%2F', '#'].map((text) =>
    rule(
      `must not contain '${text}' ${PATH_TYPES}`,
      `!(${PLAIN_PATH} && self.value.contains('${text}'))`,
    ),
  ),
  ...['/..', '/.'].map((text) =>
    rule(
      `must not end with '${text}' ${PATH_TYPES}`,
      `!(${PLAIN_PATH} && self.value.endsWith('${text}'))`,
    ),
  ),
  rule(
    "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
    "self.type in ['Exact', 'PathPrefix', 'RegularExpression']",
  ),
  rule(
    `must only contain valid characters (matching ${PATH_CHARACTERS}) for types ['Exact', 'PathPrefix']`,
    `!${PLAIN_PATH} || self.value.matches(r"${PATH_CHARACTERS}")`,
  ),
];

function pathModifier(at: string): Refinement {
  const members = { ReplaceFullPath: 'replaceFullPath', ReplacePrefixMatch: 'replacePrefixMatch' };
  const rules = Object.entries(members).flatMap(([type, member]) => [
    rule(
      `${member} must be specified when type is set to '${type}'`,
      `self.type != '${type}' || has(self.${member})`,
    ),
    rule(
      `type must be '${type}' when ${member} is set`,
      `!has(self.${member}) || self.type == '${type}'`,
    ),
  ]);
  return { at, rules };
}

const ROOT_PATH = { type: 'PathPrefix', value: '/' };

function externalAuth(): Refinement[] {
  const at = 'spec.**.filters[].externalAuth';
  const rules = [
    ['GRPC', 'grpc'],
    ['HTTP', 'http'],
  ].flatMap(([protocol, member]) => [
    rule(
      `${member} must be specified when protocol is set to '${protocol}'`,
      `self.protocol != '${protocol}' || has(self.${member})`,
    ),
    rule(
      `protocol must be '${protocol}' when ${member} is set`,
      `!has(self.${member}) || self.protocol == '${protocol}'`,
    ),
  ]);
  return [
    { at, rules },
    { at: `${at}.backendRef`, rules: [SERVICE_PORT] },
    fallback('', `${at}.backendRef.group`),
    fallback('Service', `${at}.backendRef.kind`),
    {
      at: [
        `${at}.grpc.allowedHeaders`,
        `${at}.http.allowedHeaders`,
        `${at}.http.allowedResponseHeaders`,
      ],
      set: SET,
    },
    { at: `${at}.forwardBody.maxSize`, set: { format: 'int32', minimum: 0 } },
  ];
}

function alone(list: string, others: string): ValidationRule {
  return rule(
    `${list} cannot contain '*' alongside other ${others}`,
    "!('*' in self) || self.size() == 1",
  );
}

const MATCH_TOTAL = rule(
  'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128',
  'self.map(r, has(r.matches) ? r.matches.size() : 0).sum() <= 128',
);

const httpRoute: Refinement[] = [
  ...route(),
  fallback([{ matches: [{ path: ROOT_PATH }] }], 'spec.rules'),
  { at: 'spec.rules', rules: [MATCH_TOTAL] },
  {
    at: 'spec.rules[]',
    rules: [
      rule(
        'RequestRedirect filter must not be used together with backendRefs',
        '!(has(self.backendRefs) && self.backendRefs.size() > 0 && has(self.filters) && self.filters.exists(f, has(f.requestRedirect)))',
      ),
      prefixReplacement('When', 'RequestRedirect', 'requestRedirect', false),
      prefixReplacement('When', 'URLRewrite', 'urlRewrite', false),
      prefixReplacement('Within backendRefs, when', 'RequestRedirect', 'requestRedirect', true),
      prefixReplacement('Within backendRefs, When', 'URLRewrite', 'urlRewrite', true),
    ],
  },
  fallback([{ path: ROOT_PATH }], 'spec.rules[].matches'),
  { at: 'spec.rules[].matches', set: ATOMIC },
  { at: 'spec.rules[].matches[].path', set: { default: ROOT_PATH }, rules: PATH_RULES },
  fallback('PathPrefix', 'spec.rules[].matches[].path.type'),
  fallback('/', 'spec.rules[].matches[].path.value'),
  {
    at: ['spec.rules[].matches[].headers', 'spec.rules[].matches[].queryParams'],
    set: keyed('name'),
  },
  { at: 'spec.rules[].matches[].headers[].value', set: { pattern: HEADER_VALUE } },
  { at: 'spec.rules[].retry.attempts', set: { minimum: 1 } },
  { at: 'spec.rules[].retry.codes', set: SET },
  { at: 'spec.**.filters[].type', set: { enum: Object.keys(HTTP_FILTERS) } },
  fallback(
    'Exact',
    'spec.rules[].matches[].headers[].type',
    'spec.rules[].matches[].queryParams[].type',
  ),
  ...commonFilters(HTTP_FILTERS),
  {
    at: 'spec.**.filters',
    rules: [
      rule(
        'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both',
        "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
      ),
      ...once('RequestRedirect', 'URLRewrite', 'CORS'),
    ],
  },
  pathModifier('spec.**.filters[].requestRedirect.path'),
  pathModifier('spec.**.filters[].urlRewrite.path'),
  fallback(302, 'spec.**.filters[].requestRedirect.statusCode'),
  fallback(5, 'spec.**.filters[].cors.maxAge'),
  { at: 'spec.**.cors.allowHeaders', set: SET, rules: [alone('AllowHeaders', 'methods')] },
  { at: 'spec.**.cors.allowMethods', set: SET, rules: [alone('AllowMethods', 'methods')] },
  { at: 'spec.**.cors.allowOrigins', set: SET, rules: [alone('AllowOrigins', 'origins')] },
  { at: 'spec.**.cors.exposeHeaders', set: SET },
  ...externalAuth(),
  ...sessionPersistence(),
  {
    at: 'spec.rules[].timeouts',
    rules: [
      rule(
        'backendRequest timeout cannot be longer than request timeout',
        "!(has(self.request) && has(self.backendRequest)) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)",
      ),
    ],
  },
];

const GRPC_SERVICE = '^(?i)\\.?[a-z_][a-z_0-9]*(\\.[a-z_][a-z_0-9]*)*$';
const GRPC_METHOD = '^[A-Za-z_][A-Za-z_0-9]*$';

function grpcName(member: string, pattern: string): ValidationRule {
  return rule(
    `${member} must only contain valid characters (matching ${pattern})`,
    `has(self.type) && self.type != 'Exact' || !has(self.${member}) || self.${member}.matches(r"${pattern}")`,
  );
}

const grpcRoute: Refinement[] = [
  ...route(),
  { at: 'spec.rules', rules: [MATCH_TOTAL] },
  { at: 'spec.rules[].matches', set: ATOMIC },
  { at: 'spec.rules[].matches[].headers', set: keyed('name') },
  fallback('Exact', 'spec.rules[].matches[].headers[].type', 'spec.rules[].matches[].method.type'),
  {
    at: 'spec.rules[].matches[].method',
    rules: [
      rule(
        "One or both of 'service' or 'method' must be specified",
        'has(self.service) || has(self.method)',
      ),
      grpcName('service', GRPC_SERVICE),
      grpcName('method', GRPC_METHOD),
    ],
  },
  ...commonFilters(GRPC_FILTERS),
  ...sessionPersistence(),
];

export const GATEWAY_ROUTES = { httpRoute, grpcRoute, route };
export { ATOMIC, fallback, GROUP, keyed, sessionPersistence };
