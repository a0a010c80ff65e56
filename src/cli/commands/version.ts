/** `tulle version`. */
import { VERSION } from '#base/version.ts';

export function versionText(output: string): string {
  const answer = { tulle: VERSION, bun: Bun.version, revision: Bun.revision.slice(0, 9) };
  return output === 'json'
    ? `${JSON.stringify(answer, null, 2)}\n`
    : `tulle ${answer.tulle} (Bun ${answer.bun})\n`;
}
