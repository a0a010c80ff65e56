/** The server behind every subject: nginx (Debian package nginx-light) with a 100-byte answer, and a file for those who put one there. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import { type BenchContext, startProcess } from './subjects/subject.ts';
import { inNamespace } from './topology.ts';

const ANSWER_BYTES = 100;

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
    location = /large { alias ${directory}/large; }
    location / { default_type text/plain; return 200 "${'x'.repeat(ANSWER_BYTES)}"; }
  }
}
`;
}

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
  const directory = join(context.directory, `origin-${namespace ?? 'local'}`);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, configuration(directory, context.originPort));
  const command = [nginx, '-c', file];
  return startProcess(context, {
    name: `origin-${namespace ?? 'local'}`,
    command: namespace ? inNamespace(namespace, command) : command,
    namespace,
    port: context.originPort,
  });
}
