/** Tulle itself. */
import type { Subject } from './subject.ts';
import { startTullePair } from './tulle-l4.ts';

export const tulleSubject: Subject = { name: 'tulle', startL4: startTullePair };
