/** istio.v1.auth: the certificate service of the control plane. */
import { field, int64, message, optional, repeated, string } from './message.ts';
import { Struct } from './well-known.ts';

export const IstioCertificateRequest = message('istio.v1.auth.IstioCertificateRequest', {
  /** PEM. */
  csr: field(1, string),
  /** Seconds. */
  validity_duration: field(3, int64),
  metadata: optional(4, Struct),
});

export const IstioCertificateResponse = message('istio.v1.auth.IstioCertificateResponse', {
  /** PEM: leaf, intermediates, and last the roots. */
  cert_chain: repeated(1, string),
});

export const CREATE_CERTIFICATE_METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/** Metadata key: the SPIFFE URI that a node proxy asks a certificate for, other than its own. */
export const IMPERSONATED_IDENTITY = 'ImpersonatedIdentity';
