/** An exchange that never was: a client connection that cannot take a request answers with it. */
import type { MeshError } from '#base/errors.ts';
import type { ClientExchange, ResponseHandler } from './dispatch.ts';

/** The handler hears so after `dispatch` returned, unless it gave up before. */
export function refused(handler: ResponseHandler, error: MeshError): ClientExchange {
  let given = false;
  queueMicrotask(() => {
    if (!given) handler.onError(error);
  });
  return {
    sendBody: () => true,
    sendEnd: () => undefined,
    abort: () => {
      given = true;
    },
    pauseResponse: () => undefined,
    resumeResponse: () => undefined,
  };
}
