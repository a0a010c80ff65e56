/** Whether this program is one compiled file (`bun build --compile`), and where the files in it are found. */
import { join } from 'node:path';

/** Bun's virtual file system, read-only, that holds what was compiled in. */
const EMBEDDED_ROOT = '/$bunfs/root';

export const COMPILED: boolean = import.meta.path.startsWith(`${EMBEDDED_ROOT}/`);

/** A file that was compiled in; only in a compiled program. */
export function embeddedPath(name: string): string {
  return join(EMBEDDED_ROOT, name);
}
