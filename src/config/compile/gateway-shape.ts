/** The shapes of Istio's Gateway and Sidecar (gateway-kinds.ts). */
import { POOL } from './destination-rule-shape.ts';
import type { Shape } from './shape.ts';
import { DESTINATION } from './virtual-service-shape.ts';

const TEXTS: Shape = { list: 'text' };
const LABELS: Shape = { map: 'text' };
const PORT: Shape = {
  fields: { number: 'number', protocol: 'text', name: 'text', targetPort: 'number' },
};
const TLS: Shape = {
  fields: {
    httpsRedirect: 'flag',
    mode: 'text',
    serverCertificate: 'text',
    privateKey: 'text',
    caCertificates: 'text',
    caCrl: 'text',
    credentialName: 'text',
    credentialNames: TEXTS,
    tlsCertificates: {
      list: { fields: { serverCertificate: 'text', privateKey: 'text', caCertificates: 'text' } },
    },
    caCertCredentialName: 'text',
    subjectAltNames: TEXTS,
    verifyCertificateSpki: TEXTS,
    verifyCertificateHash: TEXTS,
    minProtocolVersion: 'text',
    maxProtocolVersion: 'text',
    cipherSuites: TEXTS,
    ecdhCurves: TEXTS,
    insecureSkipVerify: 'flag',
  },
};

export const ISTIO_GATEWAY: Shape = {
  fields: {
    selector: LABELS,
    servers: {
      list: {
        fields: {
          port: PORT,
          bind: 'text',
          hosts: TEXTS,
          tls: TLS,
          defaultEndpoint: 'text',
          name: 'text',
        },
      },
    },
  },
};

export const SIDECAR: Shape = {
  fields: {
    workloadSelector: { fields: { labels: LABELS } },
    ingress: {
      list: {
        fields: {
          port: PORT,
          bind: 'text',
          captureMode: 'text',
          defaultEndpoint: 'text',
          tls: TLS,
          connectionPool: POOL,
        },
      },
    },
    egress: { list: { fields: { port: PORT, bind: 'text', captureMode: 'text', hosts: TEXTS } } },
    outboundTrafficPolicy: { fields: { mode: 'text', egressProxy: DESTINATION } },
    inboundConnectionPool: POOL,
  },
};
