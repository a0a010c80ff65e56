/** Asks a DNS server with BIND's dig, which reads messages by code that is not ours. */
import { missingFor, run } from './lab.ts';

export const noDig = missingFor({ programs: ['dig'] }) !== undefined;

/** Status and authority section, as dig prints them, of what a server on loopback answers. */
export async function digAuthority(port: number, ...question: string[]): Promise<string> {
  const flags = ['-p', String(port), '+noall', '+comments', '+authority'];
  const { stdout } = await run(['dig', '@127.0.0.1', ...flags, ...question]);
  return stdout;
}
