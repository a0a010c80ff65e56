/** What `tulle role node` loads stays in its memory for good: 2 to 8 MiB for each of the libraries that other roles use. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';

test('the node proxy loads no library but the protobuf runtime, and no other role', async () => {
  const { metafile } = await Bun.build({
    entrypoints: [join(import.meta.dir, 'main.ts')],
    target: 'bun',
    metafile: true,
  });
  const files = Object.keys(metafile?.inputs ?? {});
  expect(files.length).toBeGreaterThan(100);
  const libraries = new Set(
    files.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []),
  );
  expect([...libraries]).toEqual(['@bufbuild/protobuf']);
  const roles = /src\/(control|waypoint|apiserver|lab|cli)\//;
  expect(files.filter((file) => roles.test(file))).toEqual([]);
});
