/**
 * Runs first, and is small: what takes long is asked for before the rest of the console is there. A large graph is read and laid out in its worker
 * meanwhile, so that it can be painted as soon as its page is.
 */
import { eventsAddressOf } from './graph/live/asked.ts';
import { openEarly } from './graph/live/client.ts';

if (location.pathname.split('/')[1] === 'graph') {
  const address = eventsAddressOf(new URLSearchParams(location.search));
  if (address !== undefined) openEarly(address);
  // One that cannot be loaded says so where it is shown.
  import('./graph/page.tsx').catch((error: unknown) =>
    console.debug('the graph is not there yet:', error),
  );
}
void import('./main.tsx');
