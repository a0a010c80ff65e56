/** Tulle itself. */
import type { Subject } from './subject.ts';
import { startTullePair } from './tulle-l4.ts';
import { startTulleWaypoint } from './tulle-l7.ts';
import { startTullePath } from './tulle-path.ts';

export const tulleSubject: Subject = {
  name: 'tulle',
  installed: () => true,
  capture: 'own',
  startL4: startTullePair,
  startL7: startTulleWaypoint,
  startPath: startTullePath,
};
