/** The handler of an exchange until the application sets its own. */
import type { RequestHandler } from './dispatch.ts';

export const IGNORE_REQUEST: RequestHandler = {
  onBody: () => undefined,
  onEnd: () => undefined,
  onAbort: () => undefined,
  onDrain: () => undefined,
};
