/** Tulle itself. */
import type { Subject } from './subject.ts';
import { startStarNode, startTullePair } from './tulle-l4.ts';
import { startTulleWaypoint } from './tulle-l7.ts';
import { startTullePath } from './tulle-path.ts';

export const tulleSubject: Subject = {
  name: 'tulle',
  installed: () => true,
  capture: 'own',
  startL4: startTullePair,
  startStar: async (context, pods) => [await startStarNode(context, pods)],
  startL7: startTulleWaypoint,
  startPath: startTullePath,
};
