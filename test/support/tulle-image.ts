/** The image of Tulle as an archive that a test cluster loads. The program in it is compiled once for the same sources. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baseOf } from '../../tools/image/base-files.ts';
import { compiledProgram } from '../../tools/image/compile.ts';
import { DEFAULT_TAG, tulleImage } from '../../tools/image/image.ts';

export interface ImageArchive extends Disposable {
  readonly path: string;
}

export async function imageArchive(): Promise<ImageArchive> {
  const program = await compiledProgram();
  const folder = mkdtempSync(join(tmpdir(), 'tulle-image-'));
  const path = join(folder, 'tulle.tar');
  const { archive } = tulleImage(readFileSync(program), baseOf(program), {
    tag: DEFAULT_TAG,
    created: 0,
  });
  writeFileSync(path, archive);
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
