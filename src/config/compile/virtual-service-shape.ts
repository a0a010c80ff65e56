/** The shape of a VirtualService (virtual-service-kinds.ts). */
import type { Shape } from './shape.ts';

const TEXTS: Shape = { list: 'text' };
const LABELS: Shape = { map: 'text' };
export const PERCENT: Shape = { fields: { value: 'double' } };
const STRING_MATCH: Shape = { fields: { exact: 'text', prefix: 'text', regex: 'text' } };
/** A null match is presence, or refused: validate-http-rule.ts knows. */
const STRING_MATCHES: Shape = { map: STRING_MATCH, holdsNull: true };
export const DESTINATION: Shape = {
  fields: { host: 'text', subset: 'text', port: { fields: { number: 'number' } } },
};
const OPERATIONS: Shape = { fields: { set: LABELS, add: LABELS, remove: TEXTS } };
const HEADERS: Shape = { fields: { request: OPERATIONS, response: OPERATIONS } };
const ROUTES: Shape = {
  list: { fields: { destination: DESTINATION, weight: 'number', headers: HEADERS } },
};
const SOURCE = {
  port: 'number',
  sourceLabels: LABELS,
  sourceNamespace: 'text',
  gateways: TEXTS,
} as const;
const HTTP_MATCH: Shape = {
  fields: {
    ...SOURCE,
    name: 'text',
    uri: STRING_MATCH,
    scheme: STRING_MATCH,
    method: STRING_MATCH,
    authority: STRING_MATCH,
    headers: STRING_MATCHES,
    withoutHeaders: STRING_MATCHES,
    queryParams: STRING_MATCHES,
    ignoreUriCase: 'flag',
    statPrefix: 'text',
  },
};
const HTTP_RULE: Shape = {
  fields: {
    name: 'text',
    match: { list: HTTP_MATCH, holdsNull: true },
    route: ROUTES,
    redirect: {
      fields: {
        uri: 'text',
        prefixRewrite: 'text',
        authority: 'text',
        scheme: 'text',
        port: 'number',
        derivePort: 'text',
        redirectCode: 'number',
      },
    },
    directResponse: {
      fields: { status: 'number', body: { fields: { string: 'text', bytes: 'text' } } },
    },
    delegate: { fields: { name: 'text', namespace: 'text' } },
    rewrite: {
      fields: {
        uri: 'text',
        authority: 'text',
        uriRegexRewrite: { fields: { match: 'text', rewrite: 'text' } },
      },
    },
    timeout: 'text',
    retries: {
      fields: {
        attempts: 'number',
        perTryTimeout: 'text',
        retryOn: 'text',
        retryRemoteLocalities: 'flag',
        retryIgnorePreviousHosts: 'flag',
        backoff: 'text',
      },
    },
    fault: {
      fields: {
        delay: {
          fields: {
            percent: 'number',
            percentage: PERCENT,
            fixedDelay: 'text',
            exponentialDelay: 'text',
          },
        },
        abort: {
          fields: {
            percentage: PERCENT,
            httpStatus: 'number',
            grpcStatus: 'text',
            http2Error: 'text',
          },
        },
      },
    },
    mirror: DESTINATION,
    mirrors: { list: { fields: { destination: DESTINATION, percentage: PERCENT } } },
    mirrorPercent: 'number',
    mirror_percent: 'number',
    mirrorPercentage: PERCENT,
    corsPolicy: {
      fields: {
        allowOrigin: TEXTS,
        allowOrigins: { list: STRING_MATCH },
        allowMethods: TEXTS,
        allowHeaders: TEXTS,
        exposeHeaders: TEXTS,
        maxAge: 'text',
        allowCredentials: 'flag',
        unmatchedPreflights: 'text',
      },
    },
    headers: HEADERS,
  },
};
const L4_MATCH = { ...SOURCE, destinationSubnets: TEXTS } as const;

export const VIRTUAL_SERVICE: Shape = {
  fields: {
    hosts: TEXTS,
    gateways: TEXTS,
    exportTo: TEXTS,
    http: { list: HTTP_RULE },
    tls: {
      list: {
        fields: { match: { list: { fields: { ...L4_MATCH, sniHosts: TEXTS } } }, route: ROUTES },
      },
    },
    tcp: {
      list: {
        fields: {
          match: { list: { fields: { ...L4_MATCH, sourceSubnet: 'text' } } },
          route: ROUTES,
        },
      },
    },
  },
};
