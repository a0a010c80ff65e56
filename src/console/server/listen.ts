/** The console's sockets: a TCP port, or a unix socket that its owner alone may use. */
import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'bun';
import { canonicalIp } from '#base/ip.ts';
import { CONFIG_BODY_BYTES_MAX } from './limits.ts';
import type { ConsoleServer } from './server.ts';

export type ListenAddress =
  | { readonly hostname: string; readonly port: number }
  | { readonly unix: string };

export interface ConsoleEnd {
  readonly port: number | undefined;
  stop(): Promise<void>;
}

/** Seconds without a byte after which a connection is closed; live streams lift it. */
const IDLE_SECONDS = 30;

/** Throws what the system says when the port or path cannot be had. */
export function serveConsole(console: ConsoleServer, address: ListenAddress): ConsoleEnd {
  // A socket file that a killed process left behind would keep us from binding.
  if ('unix' in address) rmSync(address.unix, { force: true });
  const common = {
    maxRequestBodySize: CONFIG_BODY_BYTES_MAX,
    fetch: (request: Request, own: Server<undefined>) =>
      console.handle(request, {
        address: canonicalIp(own.requestIP(request)?.address ?? '') || undefined,
        setIdleSeconds: (seconds) => own.timeout(request, seconds),
      }),
  };
  // Bun's types know the idle limit of TCP ports only.
  const server =
    'unix' in address
      ? Bun.serve({ unix: address.unix, ...common })
      : Bun.serve({ ...address, idleTimeout: IDLE_SECONDS, ...common });
  if ('unix' in address) chmodSync(address.unix, 0o600);
  return { port: server.port, stop: () => server.stop(true) };
}
