/**
 * `tulle role farewell`: what the chart's hook runs before Helm removes anything. Helm takes everything away at one moment, and a node
 * proxy that has lost its rights cannot let its pods go in order. So pods leave the mesh first, then the control plane ends,
 * then goes what it made and Helm does not know of. Can be run again.
 */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { inClusterConnection } from '#kube/client/in-cluster.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { FAREWELL_TIMEOUT_MS } from '../limits.ts';
import { startSteps } from './steps.ts';
import { planFarewell, uninstall } from './uninstall.ts';

export async function runFarewell(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: { namespace: { type: 'string' }, revision: { type: 'string' } },
  });
  const { namespace, revision } = values;
  const connection = inClusterConnection(process.env);
  if (connection === undefined || namespace === undefined || revision === undefined) {
    throw new MeshError(
      'INSTALL_NO_POD',
      'this is no pod of the chart, or it says no --namespace and --revision',
      {
        side: 'config',
        hint: INSTALL_ERRORS.INSTALL_NO_POD,
      },
    );
  }
  const client = new RestClient({ fetch: fetch as Fetch }, connection);
  const plan = await planFarewell(client, { namespace, revision });
  const steps = startSteps(systemClock, (line) => process.stdout.write(line));
  const deps = { client, clock: systemClock, steps, holder: hostname() };
  const removed = await uninstall(deps, plan, FAREWELL_TIMEOUT_MS);
  steps.say(`${removed.length} objects removed`);
}
