/** How bytes are read: by the request's own word, else by the port's. */
import type { AppProtocol } from '#model/service/service.ts';
import type { WhyRequest } from './contract.ts';

/** Ports that say nothing are sniffed: a request with HTTP in it is HTTP. */
export function isHttp(request: WhyRequest, port: AppProtocol): boolean {
  const { protocol } = request;
  // A port that is declared as bytes is never read as HTTP, whatever passes there.
  if (port === 'tcp' || port === 'tls') return false;
  return (
    protocol === undefined || protocol === 'http' || protocol === 'http2' || protocol === 'grpc'
  );
}

export function schemeOf({ protocol }: WhyRequest): 'http' | 'https' {
  return protocol === 'https' ? 'https' : 'http';
}
