/** What a browser loads first: within its bound, without inline script or style, and whole. */
import { expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildWeb, isWebStale } from '../../tools/web.ts';

const FIRST_LOAD_BYTES_MAX = 500_000;

test('buildWeb stays within the bound of the first load, and leaves nothing inline', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-web-'));
  try {
    const out = join(folder, 'dist');
    expect(isWebStale(out)).toBe(true);
    const { firstLoad } = await buildWeb(out);
    expect(isWebStale(out)).toBe(false);
    const bytes = Object.values(firstLoad).reduce((sum, each) => sum + each, 0);
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(FIRST_LOAD_BYTES_MAX);
    const html = readFileSync(join(out, 'index.html'), 'utf8');
    expect(html).not.toMatch(/<style|style=|<script(?![^>]* src=)|\son\w+=/);
    expect(html).not.toMatch(/https?:/);
    const files = readdirSync(join(out, 'assets'));
    for (const [, name] of html.matchAll(/\/assets\/([^"]+)/g)) expect(files).toContain(name);
    expect(files.filter((name) => name.endsWith('.map'))).toEqual([]);
    const icons = files.filter((name) => name.endsWith('.svg'));
    expect(icons.length).toBeGreaterThan(0);
    for (const name of icons)
      expect(readFileSync(join(out, 'assets', name), 'utf8')).not.toMatch(
        /<style|style=|<script|\son\w+=/,
      );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
