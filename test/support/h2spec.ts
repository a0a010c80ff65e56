/** Runs h2spec, the HTTP/2 conformance suite of github.com/summerwind/h2spec, against a port and reads its report. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingFor, run } from './lab.ts';

/** How long h2spec waits for an answer; each case that is allowed to fail takes it, and a busy machine needs some. */
const PATIENCE_SECONDS = 2;
const TRIES = 3;
/** Where `.ci/run` puts it. */
const CACHE = join(homedir(), '.cache/tulle/bin');
const PATH = `${process.env.PATH}:${CACHE}`;

export interface H2specReport {
  readonly passed: number;
  /** `section: title` of what failed, or was skipped because the suite could not try it. */
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

const CASE =
  /<testcase package="([^"]*)" classname="([^"]*)"[^>]*>(?:(?!<\/testcase>)[\s\S])*<\/testcase>/g;

/** Why h2spec cannot run here. It is built with Go: where Go is, a CI run must have it. */
export function missingH2spec(): string | undefined {
  const programs = ['h2spec'];
  if (Bun.which('go') !== null || process.env.CI === undefined)
    return missingFor({ programs, path: PATH });
  if (Bun.which('h2spec', { PATH }) !== null) return undefined;
  process.stderr.write('SKIPPED, neither h2spec nor go is installed\n');
  return 'no go';
}

/** `specs`: `generic`, `http2`, `hpack`, or a section such as `http2/4.2/3`. Strict cases are always part of it. */
export async function h2spec(
  port: number,
  specs: readonly string[],
  { isTls = true }: { isTls?: boolean } = {},
): Promise<H2specReport> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-h2spec-'));
  const report = join(folder, 'report.xml');
  const target = [
    ...(isTls ? ['-t', '-k'] : []),
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    '-o',
    String(PATIENCE_SECONDS),
  ];
  const words = ['h2spec', ...specs, ...target, '--strict', '-j', report];
  try {
    // It ends without a report when one of its own handshakes takes too long: that says nothing about us.
    for (let left = TRIES; ; left--) {
      const { stdout, stderr } = await run(words, { env: { PATH } });
      if (existsSync(report)) return parseReport(readFileSync(report, 'utf8'), stdout + stderr);
      if (left === 1) throw new Error(`h2spec made no report:\n${stdout}${stderr}`.slice(0, 4000));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function parseReport(xml: string, output: string): H2specReport {
  const failed: string[] = [];
  const skipped: string[] = [];
  let passed = 0;
  for (const [text, section, title] of xml.matchAll(CASE)) {
    const name = `${section}: ${title.replaceAll('&#34;', '"')}`;
    if (text.includes('<error>')) failed.push(name);
    else if (text.includes('<skipped')) skipped.push(name);
    else passed += 1;
  }
  const total = passed + failed.length + skipped.length;
  const said = /^(\d+) tests?, /m.exec(output)?.[1];
  if (String(total) !== said) throw new Error(`h2spec ran ${said} cases, its report has ${total}`);
  return { passed, failed, skipped };
}
