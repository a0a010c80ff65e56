/** Protocol names of ports in Istio's resources, any case (Istio: pkg/config/protocol/instance.go). */

export type PortProtocol = 'http' | 'https' | 'tls' | 'tcp' | 'udp';

const PROTOCOLS: Readonly<Record<string, PortProtocol | undefined>> = {
  http: 'http',
  http2: 'http',
  http_proxy: 'http',
  grpc: 'http',
  'grpc-web': 'http',
  https: 'https',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  redis: 'tcp',
  mysql: 'tcp',
  udp: 'udp',
};

/** How bytes on the port are to be read; undefined for a name that Istio does not know. */
export function parsePortProtocol(text: string | undefined): PortProtocol | undefined {
  return PROTOCOLS[(text ?? '').toLowerCase()];
}

export function protocolProblem(text: string | undefined): string | undefined {
  return parsePortProtocol(text) === undefined
    ? `${JSON.stringify(text ?? '')} is none of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS, MYSQL`
    : undefined;
}
