/** The ConfigMap of revocation lists, in every namespace: control/controllers/ca-crl.ts writes it, or whoever runs the CA. */
export const CRL_NAME = 'istio-ca-crl';
export const CRL_KEY = 'ca-crl.pem';
