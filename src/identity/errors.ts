/** Error codes of identity/ with a short remedy each; docs/errors.md is generated from them. */
export const IDENTITY_ERRORS = {
  CA_CSR_REJECTED:
    'the request is not a PKCS #10 of an ECDSA or RSA key: is the client compatible with Istio?',
  CA_TTL_TOO_LONG: 'ask for at most 90 days, or leave the lifetime out for 24 hours',
  CA_ROOT_INVALID:
    'Secret istio-ca-secret must hold ca-cert.pem and ca-key.pem that belong together; delete it to start a new root',
  SVID_RESPONSE_INVALID:
    'the CA answered with no usable certificate: compare the versions of both ends',
  SVID_IDENTITY_MISMATCH:
    'the CA signed another identity: is this service account in CA_TRUSTED_NODE_ACCOUNTS?',
  SVID_FETCH_FAILED: 'is the control plane up? try `tulle status`',
  SVID_CLOCK_SKEW:
    'the clocks of the control plane and this machine differ: compare `date -u` on both, and set them by NTP',
  SVID_FORGOTTEN: 'the workload left this node while its certificate was being fetched',
  TRUST_NO_IDENTITY: 'the peer certificate carries no SPIFFE URI: is the peer part of the mesh?',
  TRUST_FOREIGN_DOMAIN:
    'the peer belongs to another trust domain: set trustDomain alike on both sides',
  TRUST_REVOKED:
    'the CA took the certificate back: restart the workload for a new one, or look at the revocation list',
  TRUST_CRL_INVALID:
    'look at the file of --crl-file (ConfigMap istio-ca-crl): PEM blocks "X509 CRL"; the lists read before stay in force',
} as const;
