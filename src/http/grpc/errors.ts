/** Error codes of gRPC to and from the control plane, with a short remedy each. */
export const GRPC_ERRORS = {
  GRPC_UNAVAILABLE: 'is the control plane up and reachable? try `tulle status`',
  GRPC_DEADLINE: 'the control plane did not answer in time: is it overloaded? try `tulle status`',
  GRPC_REFUSED:
    'the control plane refused the credentials or the identity: check the token and its audience',
  GRPC_UNIMPLEMENTED:
    'the control plane is of another version, or another product: compare with `tulle version`',
  GRPC_FAILED: 'look at the log of the control plane at this time',
  GRPC_ROOT_FILE: 'is the ConfigMap istio-ca-root-cert mounted? the file holds the root in PEM',
  GRPC_TOKEN_FILE: 'is the projected service account token mounted (audience istio-ca)?',
  GRPC_LISTEN_FAILED: 'is the port taken or the privilege missing? try `ss -ltnp`',
} as const;
