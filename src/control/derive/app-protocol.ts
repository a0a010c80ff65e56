/** What is spoken on a port: appProtocol, else the port name's prefix (Istio: pkg/config/kube/conversion.go). */
import type { AppProtocol } from '#model/service/service.ts';

const BY_NAME: Record<string, AppProtocol> = {
  http: 'http',
  'grpc-web': 'http',
  http2: 'http2',
  h2c: 'http2',
  grpc: 'grpc',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
  https: 'tls',
  tls: 'tls',
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
};

export function appProtocolOf(port: { name?: string; appProtocol?: string }): AppProtocol {
  if (port.appProtocol !== undefined) return BY_NAME[port.appProtocol.toLowerCase()] ?? 'unknown';
  const name = (port.name ?? '').toLowerCase();
  if (name.startsWith('grpc-web')) return 'http';
  return BY_NAME[name.split('-', 1)[0]] ?? 'unknown';
}

/** A ServiceEntry port's `protocol`. */
export function declaredProtocol(protocol: string | undefined): AppProtocol {
  return BY_NAME[(protocol ?? '').toLowerCase()] ?? 'unknown';
}
