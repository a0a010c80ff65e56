/** nginx (Debian package nginx-light) as a plain HTTP proxy, one process. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { grpcPort } from '../origin.ts';
import { type L7Options, type Subject, startProcess } from './subject.ts';

const nginxPath = () => Bun.which('nginx', { PATH: `${process.env.PATH}:/usr/sbin` });

/** Prefix locations that no request of the load matches, then the one that takes all. */
function configuration(directory: string, originPort: number, options: L7Options): string {
  const { port, routes, protocol } = options;
  const isGrpc = protocol === 'grpc';
  const pass = isGrpc
    ? 'grpc_pass grpc://origin;'
    : 'proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";';
  const specific = Array.from(
    { length: routes - 1 },
    (_, index) => `location /service-${index}/ { ${pass} }`,
  );
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx-error.log;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  client_max_body_size 0;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 512; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port}${protocol === 'h1' ? '' : ' http2'} reuseport backlog=4096;
    http2_max_concurrent_streams 1024;
    ${specific.join('\n    ')}
    location / { ${pass} }
  }
}
`;
}

export const nginxSubject: Subject = {
  name: 'nginx',
  installed: () => nginxPath() !== null,
  capture: undefined,
  async startL7(context, options) {
    const directory = join(context.directory, 'nginx-l7');
    mkdirSync(directory, { recursive: true });
    const file = join(directory, 'nginx.conf');
    const origin = options.protocol === 'grpc' ? grpcPort(context) : context.originPort;
    writeFileSync(file, configuration(directory, origin, options));
    const command = [nginxPath() ?? 'nginx', '-c', file];
    const child = await startProcess(context, { name: 'nginx-l7', command, port: options.port });
    return [child.pid];
  },
};
