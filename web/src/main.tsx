/** Starts the console in the page. */
import './tokens.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './frame/app.tsx';
import { routeOf } from './frame/routes.ts';
import { applyTheme } from './store/theme.ts';

applyTheme();
// On its way while it is asked who reads. A page that cannot be loaded says so where it is shown.
routeOf(location.pathname)
  .route?.load()
  .catch((error: unknown) => console.debug('a page is not there yet:', error));
const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
