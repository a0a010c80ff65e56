/** Paths are normalized before a route is looked for, as the mesh says, and go on so. */
import { expect, test } from 'bun:test';
import type { PathNormalization } from '#model/route/normalize-path.ts';
import { route, to, upstream, WaypointRig } from '#test/support/waypoint-rig.ts';

const ADMIN = route('admin', [to('canary')], {
  matches: [
    {
      path: { kind: 'prefix', value: '/admin' },
      ...{ headers: [], withoutHeaders: [], queryParams: [] },
    },
  ],
});

async function seen(path: string, how?: PathNormalization): Promise<string> {
  const mesh = new WaypointRig();
  const part = how === undefined ? {} : { pathNormalization: how };
  mesh.configure([ADMIN, route('rest', [to('stable')])], [upstream()], part);
  const { status, body } = await mesh.get(path);
  return status === 200 ? `${body[0]} ${mesh.seen[0].request.path}` : `${status} ${mesh.log}`;
}

const ROWS: [how: PathNormalization | undefined, path: string, want: string][] = [
  [undefined, '/x/../admin?a=/../', 'c /admin?a=/../'],
  [undefined, '/%61dmin', 'c /admin'],
  [undefined, '//admin', 's //admin'],
  ['NONE', '/x/../admin', 's /x/../admin'],
  ['NONE', '/admin#x', 'c /admin'],
  ['MERGE_SLASHES', '//admin', 'c /admin'],
  ['DECODE_AND_MERGE_SLASHES', '/x%2f..%5cadmin', 'c /admin'],
];
test.each(ROWS)('%p: %s', async (how, path, want) => expect(await seen(path, how)).toBe(want));

test('an escaped NUL is 400, whatever the rules', async () => {
  expect(await seen('/a%00')).toMatch(/^400 .* 400 - path_normalization_failed /);
});
