/** A stream of a caller whose token is still being checked: what comes meanwhile waits, in order. Whoever may not call is told why. */
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ServerStream, ServerStreamHandler } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import { type Authenticate, authenticateCall, type Caller } from './caller.ts';
import { UNCHECKED_REQUESTS_MAX } from './limits.ts';

export interface CheckDeps {
  readonly log: Logger;
  readonly authenticate: Authenticate;
  readonly clusterId: string;
}

/** `accept` is called once it is known who calls; its handler's `onClose` only then. `title` names the stream in the log. */
export function checkedStream(
  stream: ServerStream,
  deps: CheckDeps,
  { title, accept }: { title: string; accept: (caller: Caller) => ServerStreamHandler },
): ServerStreamHandler {
  let unchecked: Uint8Array[] = [];
  let handler: ServerStreamHandler | undefined;
  let open = true;
  const refuse = (details: string, code: number = GRPC_STATUS.unauthenticated) => {
    deps.log.warn(`${title} stream refused`, { peer: stream.peer, reason: details });
    stream.close({ code, details });
  };
  authenticateCall(stream, deps).then(
    (caller) => {
      if (!open) return;
      if (typeof caller === 'string') {
        refuse(caller);
        return;
      }
      handler = accept(caller);
      const waiting = unchecked;
      unchecked = [];
      for (const bytes of waiting) if (open) handler.onMessage(bytes);
    },
    (error) => {
      if (open) refuse(`cannot check the token: ${messageOf(error)}`, GRPC_STATUS.unavailable);
    },
  );
  return {
    onMessage(bytes) {
      if (handler !== undefined) handler.onMessage(bytes);
      else if (unchecked.length < UNCHECKED_REQUESTS_MAX) unchecked.push(bytes);
      else refuse('too many requests before the token was checked');
    },
    onClose() {
      open = false;
      handler?.onClose();
    },
  };
}
