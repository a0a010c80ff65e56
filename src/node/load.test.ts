/** What `tulle role node` loads stays in its memory for good: 2 to 8 MiB for each of the libraries that other roles use. */
import { expect, test } from 'bun:test';
import { join, relative } from 'node:path';

/** What is loaded with the file: not what is required once it is needed. */
async function loadedWith(entry: string): Promise<string[]> {
  const { metafile } = await Bun.build({ entrypoints: [entry], target: 'bun', metafile: true });
  const inputs = metafile?.inputs ?? {};
  const first = Object.keys(inputs).find((path) => relative(path, relative('.', entry)) === '');
  const found = new Set([first ?? '']);
  for (const file of found)
    for (const { path, kind } of inputs[file]?.imports ?? [])
      if (kind === 'import-statement') found.add(path);
  return [...found];
}

test('the node proxy loads no library but the protobuf runtime, and no other role', async () => {
  const files = await loadedWith(join(import.meta.dir, 'main.ts'));
  expect(files.length).toBeGreaterThan(100);
  const libraries = new Set(
    files.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []),
  );
  expect([...libraries]).toEqual(['@bufbuild/protobuf']);
  const roles = /src\/(control|waypoint|apiserver|lab|cli)\//;
  expect(files.filter((file) => roles.test(file))).toEqual([]);
});
