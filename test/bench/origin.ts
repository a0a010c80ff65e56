/**
 * The server behind every subject: nginx (Debian package nginx-light) with a 100-byte answer, a file for those who put one
 * there, and on the next port gRPC over HTTP/2 with a 100-byte message.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import { type BenchContext, startProcess } from './subjects/subject.ts';
import { inNamespace } from './topology.ts';

const ANSWER_BYTES = 100;

export const grpcPort = (context: BenchContext) => context.originPort + 1;

/** Length-prefixed message of gRPC (doc/PROTOCOL-HTTP2.md): not compressed, four bytes of length. */
function grpcMessage(): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(ANSWER_BYTES, 1);
  return Buffer.concat([prefix, Buffer.alloc(ANSWER_BYTES, 'x')]);
}

function configuration(directory: string, port: number): string {
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx-error.log;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  server {
    listen ${port} reuseport backlog=4096;
    client_max_body_size 0;
    # Takes the whole body before it answers: an early answer would end the exchange, and who still sends has an error.
    location = /upload {
      proxy_method GET;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://127.0.0.1:${port}/;
    }
    location = /large { alias ${directory}/large; }
    location / { default_type text/plain; return 200 "${'x'.repeat(ANSWER_BYTES)}"; }
  }
  server {
    listen ${port + 1} http2 reuseport backlog=4096;
    http2_max_concurrent_streams 1024;
    default_type application/grpc;
    root ${directory};
    add_trailer grpc-status 0;
    # A file answers GET only; what the error page serves is the answer to a POST.
    error_page 405 =200 /grpc-message;
    location = /grpc-message { }
    location / { return 405; }
  }
}
`;
}

export const originDirectory = (context: BenchContext, namespace = 'local') =>
  join(context.directory, `origin-${namespace}`);

/** Starts the origin in `namespace` (or where the bench itself is) and waits until it listens. */
export async function startOrigin(
  context: BenchContext,
  namespace?: string,
): Promise<Bun.Subprocess> {
  const nginx = Bun.which('nginx', { PATH: `${process.env.PATH}:/usr/sbin` });
  if (!nginx) {
    throw new MeshError(
      'BENCH_PEER_MISSING',
      'nginx, the origin server of the benchmarks, is not on the PATH',
      {
        side: 'self',
        hint: 'apt-get install nginx-light',
      },
    );
  }
  const directory = originDirectory(context, namespace);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'nginx.conf');
  writeFileSync(join(directory, 'grpc-message'), grpcMessage());
  writeFileSync(file, configuration(directory, context.originPort));
  const command = [nginx, '-c', file];
  return startProcess(context, {
    name: `origin-${namespace ?? 'local'}`,
    command: namespace ? inNamespace(namespace, command) : command,
    namespace,
    port: context.originPort,
  });
}
