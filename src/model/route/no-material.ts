/**
 * Material of upstream TLS settings that name no usable certificate authorities. Nothing is ever known by this name: a
 * proxy can verify nobody with it, and connects to nobody (Istio: InvalidSecretTypeURI).
 */
export const NO_MATERIAL = 'invalid://';
