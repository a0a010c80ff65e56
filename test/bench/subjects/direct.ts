/** No proxy at all: what the machine itself can do. Nothing to sample but the load. */
import type { Subject } from './subject.ts';

export const directSubject: Subject = {
  name: 'direct',
  installed: () => true,
  capture: undefined,
  startL4: async () => [],
  startStar: async () => [],
  startL7: async () => [],
};
