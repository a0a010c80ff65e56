/** Starts the console in the page. */
import './tokens.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './frame/app.tsx';
import { routeOf } from './frame/routes.ts';
import { askSessionAhead } from './store/session.ts';
import { applyTheme } from './store/theme.ts';

/** The console is shown at once as it is, not first that it is loading: unless what it needs takes longer. */
const PATIENCE_MS = 150;

applyTheme();
// On their way at once: who reads, and the page. What cannot be loaded says so where it is shown.
const page = routeOf(location.pathname)
  .route?.load()
  .catch((error: unknown) => console.debug('a page is not there yet:', error));
const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
const ahead = Promise.race([Promise.all([askSessionAhead(), page]), patience]);
whenReady(() =>
  ahead.then(() =>
    createRoot(document.getElementById('root')!).render(
      <StrictMode>
        <App />
      </StrictMode>,
    ),
  ),
);

/** Scripts do not wait for the page and its styles; what is shown does, as colours of the graph are read from them. */
function whenReady(act: () => void): void {
  const sheet = document.querySelector<HTMLLinkElement>('link[rel=stylesheet]');
  const isParsed = document.readyState !== 'loading';
  const [target, event] =
    sheet !== null && sheet.sheet === null
      ? ([sheet, 'load'] as const)
      : ([document, 'DOMContentLoaded'] as const);
  if (isParsed && target === document) {
    act();
    return;
  }
  target.addEventListener(event, () => whenReady(act), { once: true });
  // A page without its styles can still be read.
  if (target !== document) target.addEventListener('error', act, { once: true });
}
