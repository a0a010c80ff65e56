/** HTTP on the monitoring port. */
import { MeshError, messageOf } from '#base/errors.ts';
import { CONTROL_ERRORS } from '../errors.ts';

export interface HttpEnd {
  readonly port: number | undefined;
  stop(): Promise<void>;
}

/** Throws CONTROL_LISTEN_FAILED when the port is taken. */
export function serveHttp(
  address: { readonly hostname: string; readonly port: number },
  handler: (request: Request) => Response | Promise<Response>,
): HttpEnd {
  try {
    const server = Bun.serve({ ...address, fetch: handler });
    return { port: server.port, stop: () => server.stop(true) };
  } catch (error) {
    const where = `${address.hostname}:${address.port}`;
    throw new MeshError('CONTROL_LISTEN_FAILED', `cannot listen on ${where}: ${messageOf(error)}`, {
      side: 'self',
      hint: CONTROL_ERRORS.CONTROL_LISTEN_FAILED,
      cause: error,
    });
  }
}
