/** The shapes of DestinationRule and ServiceEntry (destination-rule-kinds.ts, service-entry-kinds.ts). */
import type { Shape } from './shape.ts';
import { PERCENT } from './virtual-service-shape.ts';

const TEXTS: Shape = { list: 'text' };
const LABELS: Shape = { map: 'text' };

export const POOL: Shape = {
  fields: {
    tcp: {
      fields: {
        maxConnections: 'number',
        connectTimeout: 'text',
        tcpKeepalive: { fields: { probes: 'number', time: 'text', interval: 'text' } },
        maxConnectionDuration: 'text',
        idleTimeout: 'text',
      },
    },
    http: {
      fields: {
        http1MaxPendingRequests: 'number',
        http2MaxRequests: 'number',
        maxRequestsPerConnection: 'number',
        maxRetries: 'number',
        idleTimeout: 'text',
        h2UpgradePolicy: 'text',
        useClientProtocol: 'flag',
        maxConcurrentStreams: 'number',
        http2KeepAlive: { fields: { interval: 'text', timeout: 'text' } },
      },
    },
  },
};

const OUTLIER: Shape = {
  fields: {
    consecutiveErrors: 'number',
    splitExternalLocalOriginErrors: 'flag',
    consecutiveLocalOriginFailures: 'number',
    consecutiveGatewayErrors: 'number',
    consecutive5xxErrors: 'number',
    interval: 'text',
    baseEjectionTime: 'text',
    maxEjectionPercent: 'number',
    minHealthPercent: 'number',
    outlierDetectionHttpErrorCodes: { list: 'number' },
  },
};

const FAILOVER: Shape = { list: { fields: { from: 'text', to: 'text' } } };

const LOAD_BALANCER: Shape = {
  fields: {
    simple: 'text',
    consistentHash: {
      fields: {
        httpHeaderName: 'text',
        httpCookie: {
          fields: {
            name: 'text',
            path: 'text',
            ttl: 'text',
            attributes: { list: { fields: { name: 'text', value: 'text' } } },
          },
        },
        useSourceIp: 'flag',
        httpQueryParameterName: 'text',
        ringHash: { fields: { minimumRingSize: 'number' } },
        maglev: { fields: { tableSize: 'number' } },
        minimumRingSize: 'number',
      },
    },
    localityLbSetting: {
      fields: {
        distribute: { list: { fields: { from: 'text', to: { map: 'number' } } } },
        failover: FAILOVER,
        failoverPriority: TEXTS,
        enabled: 'flag',
      },
    },
    zoneAwareLbSetting: {
      fields: {
        enabled: 'flag',
        failover: FAILOVER,
        failoverPriority: TEXTS,
        minClusterSize: 'number',
      },
    },
    warmupDurationSecs: 'text',
    warmup: { fields: { duration: 'text', minimumPercent: 'number', aggression: 'number' } },
    backendUtilization: { fields: {} },
  },
};

const PORT_POLICY: Record<string, Shape> = {
  loadBalancer: LOAD_BALANCER,
  connectionPool: POOL,
  outlierDetection: OUTLIER,
  tls: {
    fields: {
      mode: 'text',
      clientCertificate: 'text',
      privateKey: 'text',
      caCertificates: 'text',
      caCrl: 'text',
      credentialName: 'text',
      subjectAltNames: TEXTS,
      sni: 'text',
      insecureSkipVerify: 'flag',
    },
  },
};

const POLICY: Shape = {
  fields: {
    ...PORT_POLICY,
    portLevelSettings: {
      list: { fields: { port: { fields: { number: 'number' } }, ...PORT_POLICY } },
      holdsNull: true,
    },
    tunnel: { fields: { protocol: 'text', targetHost: 'text', targetPort: 'number' } },
    proxyProtocol: { fields: { version: 'text' } },
    retryBudget: {
      fields: { percent: PERCENT, minRetryConcurrency: 'number', budgetInterval: 'text' },
    },
  },
};

export const DESTINATION_RULE: Shape = {
  fields: {
    host: 'text',
    trafficPolicy: POLICY,
    subsets: {
      list: { fields: { name: 'text', labels: LABELS, trafficPolicy: POLICY } },
      holdsNull: true,
    },
    exportTo: TEXTS,
    workloadSelector: { fields: { matchLabels: LABELS } },
  },
};

export const SERVICE_ENTRY: Shape = {
  fields: {
    hosts: TEXTS,
    addresses: TEXTS,
    ports: {
      list: { fields: { number: 'number', protocol: 'text', name: 'text', targetPort: 'number' } },
      holdsNull: true,
    },
    location: 'text',
    resolution: 'text',
    endpoints: {
      list: {
        fields: {
          address: 'text',
          ports: { map: 'number' },
          labels: LABELS,
          network: 'text',
          locality: 'text',
          weight: 'number',
          serviceAccount: 'text',
        },
      },
      holdsNull: true,
    },
    subjectAltNames: TEXTS,
    exportTo: TEXTS,
    workloadSelector: { fields: { labels: LABELS } },
  },
};
