import { expect, test } from 'bun:test';
import { HOST, route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { exposeLoad } from './waypoint-metrics.ts';

test('exposeLoad tells what is in flight at the moment of the scrape', async () => {
  const mesh = new WaypointRig();
  exposeLoad(mesh.registry, mesh.engine);
  mesh.configure([route('r', [to('canary')])]);
  mesh.scripts.set('c1', () => 'hang');
  await mesh.get();
  await mesh.get();
  const lines = () => mesh.registry.expose();
  const place = `destination_service="${HOST}",subset="canary",port="80"`;
  expect(lines()).toContain('tulle_waypoint_requests_in_flight 2');
  expect(lines()).toContain(`tulle_destination_requests_in_flight{${place}} 2`);
  mesh.engine.endAll('the test is over');
  expect(lines()).toContain('tulle_waypoint_requests_in_flight 0');
  expect(lines()).toContain(`tulle_destination_requests_in_flight{${place}} 0`);
});
