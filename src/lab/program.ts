/** How this very program is started again: from a checkout (Bun and main.ts) or as one compiled file. */
import { join } from 'node:path';
import { COMPILED } from '#base/compiled.ts';

/** The words in front of a command line of ours. */
export function programCommand(): string[] {
  if (COMPILED) return [process.execPath];
  return [process.execPath, join(import.meta.dir, '..', 'cli', 'main.ts')];
}

/** Ordinary users often lack sbin on their PATH, which is where ip and nft live. */
export function pathWithSbin(path: string | undefined): string {
  const folders = (path ?? '/usr/local/bin:/usr/bin:/bin')
    .split(':')
    .filter((folder) => folder !== '');
  for (const folder of ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'])
    if (!folders.includes(folder)) folders.push(folder);
  return folders.join(':');
}
