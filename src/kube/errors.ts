/** Codes of operating failures when speaking to a Kubernetes API. */
export const KUBE_ERRORS = {
  KUBE_NOT_FOUND: 'the object or its kind does not exist: check the name with `tulle get`',
  KUBE_CONFLICT: 'the object was changed meanwhile: read it again and repeat the change',
  KUBE_ALREADY_EXISTS: 'an object of that name exists: update it instead',
  KUBE_FORBIDDEN: 'the account lacks this right: check with `kubectl auth can-i`',
  KUBE_UNAUTHORIZED:
    'the API server does not accept these credentials: renew the token or kubeconfig',
  KUBE_INVALID: 'the API server refused the object: correct the named field',
  KUBE_GONE: 'the resource version is too old: list again',
  KUBE_UNAVAILABLE:
    'the API server cannot be reached or is overloaded: check its address, then retry',
  KUBE_BAD_MANIFEST: 'correct the path or the line that the message names, then run it again',
  KUBECONFIG_INVALID: 'correct the kubeconfig file, or name another one with --kubeconfig',
} as const;

export type KubeErrorCode = keyof typeof KUBE_ERRORS;
