/** HAProxy (Debian package haproxy): an mTLS pair (it has no HBONE) and a plain HTTP proxy, one thread each. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import { grpcPort } from '../origin.ts';
import { CLIENT, inNamespace, SERVER } from '../topology.ts';
import {
  type BenchContext,
  type Certificates,
  type L7Options,
  type Subject,
  startProcess,
} from './subject.ts';

/** Two descriptors each have to fit below the usual hard limit of 20,000: HAProxy does not start otherwise. */
const CONNECTIONS_MAX = 9_500;
const GLOBAL = `global\n  nbthread 1\n  maxconn ${CONNECTIONS_MAX}\ndefaults\n  timeout connect 2s\n  timeout client 300s\n  timeout server 300s\n`;
const OUT_PORT = 15001;
const MTLS_PORT = 15008;

const haproxyPath = () => Bun.which('haproxy', { PATH: `${process.env.PATH}:/usr/sbin` });

function findHaproxy(): string {
  const path = haproxyPath();
  if (path !== null) return path;
  throw new MeshError('BENCH_PEER_MISSING', 'haproxy is not on the PATH', {
    side: 'self',
    hint: 'apt-get install haproxy',
  });
}

/** HAProxy wants chain and key in one file. */
function bundle(context: BenchContext, name: string, certificates: Certificates): string {
  const file = join(context.directory, `${name}.pem`);
  writeFileSync(
    file,
    readFileSync(certificates.chainFile, 'utf8') + readFileSync(certificates.keyFile, 'utf8'),
    { mode: 0o600 },
  );
  return file;
}

async function launch(
  context: BenchContext,
  options: { name: string; namespace?: string; port: number; text: string },
): Promise<number> {
  const file = join(context.directory, `${options.name}.cfg`);
  writeFileSync(file, GLOBAL + options.text);
  const command = [findHaproxy(), '-db', '-f', file];
  const child = await startProcess(context, {
    ...options,
    command: options.namespace ? inNamespace(options.namespace, command) : command,
  });
  return child.pid;
}

export const haproxySubject: Subject = {
  name: 'haproxy',
  installed: () => haproxyPath() !== null,
  connectionsMax: CONNECTIONS_MAX,
  capture: 'bench',
  async startL4(context) {
    const [client, server] = await context.certificates(['client', 'server']);
    const inPem = bundle(context, 'haproxy-in', server);
    const outPem = bundle(context, 'haproxy-out', client);
    const inText = `listen in\n  mode tcp\n  bind :${MTLS_PORT} ssl crt ${inPem} ca-file ${server.rootFile} verify required ssl-min-ver TLSv1.3\n  server origin 127.0.0.1:${context.originPort}\n`;
    const outText = `listen out\n  mode tcp\n  bind :${OUT_PORT}\n  server peer ${SERVER.address}:${MTLS_PORT} ssl crt ${outPem} ca-file ${client.rootFile} verify required\n`;
    return [
      await launch(context, {
        name: 'haproxy-in',
        namespace: SERVER.name,
        port: MTLS_PORT,
        text: inText,
      }),
      await launch(context, {
        name: 'haproxy-out',
        namespace: CLIENT.name,
        port: OUT_PORT,
        text: outText,
      }),
    ];
  },
  async startL7(context, options) {
    const text = plainHttp(context, options);
    return [await launch(context, { name: 'haproxy-l7', port: options.port, text })];
  },
  async startPath(context, { server }) {
    const [own, peer] = await context.certificates(['client', 'server']);
    const inPem = bundle(context, 'haproxy-in', peer);
    const outPem = bundle(context, 'haproxy-out', own);
    const inText = `listen in\n  mode http\n  bind :${MTLS_PORT} ssl crt ${inPem} ca-file ${peer.rootFile} verify required ssl-min-ver TLSv1.3 alpn http/1.1\n  server origin 127.0.0.1:${context.originPort}\n`;
    const outText = `listen out\n  mode http\n  bind :${OUT_PORT}\n  server peer ${server}:${MTLS_PORT} ssl crt ${outPem} ca-file ${own.rootFile} verify required alpn http/1.1\n`;
    const inner = { name: 'haproxy-in', namespace: SERVER.name, port: MTLS_PORT, text: inText };
    const outer = { name: 'haproxy-out', namespace: CLIENT.name, port: OUT_PORT, text: outText };
    const pids = [await launch(context, inner), await launch(context, outer)];
    return { pids, url: `http://${server}:${context.originPort}/` };
  },
};

/** Its routes are backends chosen by path and field, as the table of the others; the last takes all. */
function plainHttp(context: BenchContext, { port, routes, protocol }: L7Options): string {
  const isGrpc = protocol === 'grpc';
  const origin = isGrpc ? `${grpcPort(context)} proto h2` : String(context.originPort);
  const specific = Array.from(
    { length: routes - 1 },
    (_, index) =>
      `  use_backend origin if { path_beg /service-${index}/ } { req.hdr(x-canary) true }\n`,
  );
  return `frontend http\n  mode http\n  bind 127.0.0.1:${port}${protocol === 'h1' ? '' : ' proto h2'}\n${specific.join('')}  default_backend origin\nbackend origin\n  mode http\n  server origin 127.0.0.1:${origin}\n`;
}
