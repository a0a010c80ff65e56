/** Cases of other projects, beside the checkout when somebody put them there; undefined otherwise. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lab.ts';

export function casesFolder(): string {
  return process.env.TULLE_CASES ?? join(ROOT, '../shared/cases');
}

export function foreignCases<T>(file: string): readonly T[] | undefined {
  const folder = casesFolder();
  const path = join(folder, file);
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as T[];
  process.stderr.write(`SKIPPED: ${file} is not at ${folder}; set TULLE_CASES to run its cases\n`);
  return undefined;
}
