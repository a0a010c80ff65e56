/** All addresses of the console's API. */
import type { Access } from '../access/access.ts';
import type { ConsoleDeps } from '../console-deps.ts';
import type { EventStreams } from '../events.ts';
import type { Route } from '../router.ts';
import { configRoutes } from './config-routes.ts';
import { graphRoutes } from './graph-routes.ts';
import { listRoutes } from './list-routes.ts';
import { logRoutes } from './log-routes.ts';
import { meshRoutes } from './mesh-routes.ts';
import { sessionRoutes } from './session-routes.ts';
import { trafficRoutes } from './traffic-routes.ts';

export function consoleRoutes(
  deps: ConsoleDeps,
  own: { access: Access; streams: EventStreams },
): Route[] {
  const rootNamespace = own.access.options.namespace;
  return [
    ...sessionRoutes(own.access),
    ...graphRoutes(deps, own),
    ...listRoutes(deps, { rootNamespace }),
    ...trafficRoutes(deps, own.streams),
    ...logRoutes(deps),
    ...configRoutes(deps, own.access),
    ...meshRoutes(deps, { rootNamespace }),
  ];
}
