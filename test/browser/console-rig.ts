/**
 * The console in a real browser: the built pages over the fixture server's invented mesh, at a given width and theme, with the clock stopped
 * so that pictures are the same each time. Errors in the browser's console fail the test that caused them.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { missingFor } from '#test/support/lab.ts';
import { buildWeb, isWebStale } from '../../tools/web.ts';
import { type Fixture, type FixtureOptions, startFixture } from '../../web/fixtures/server.ts';

const ROOT = join(import.meta.dir, '../..');
const PICTURES = join(ROOT, 'docs/console');
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
const AXE = readFileSync(join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');
/** A Friday afternoon. */
export const NOW_MS = Date.UTC(2026, 2, 13, 14, 30, 0);

/** Why browser tests cannot run here; undefined when they can. In CI a missing browser is an error. */
export function missingBrowser(): string | undefined {
  return missingFor({ programs: [CHROMIUM ?? 'chromium'] });
}

export const WIDTHS = [1440, 1280, 390] as const;
export const THEMES = ['light', 'dark'] as const;

export interface Look {
  readonly width: (typeof WIDTHS)[number];
  readonly theme: (typeof THEMES)[number];
}

export interface ConsoleRig {
  readonly fixture: Fixture;
  /** A page of its own; `errors` collects what its browser console complains of. */
  open(path: string, look?: Look): Promise<{ page: Page; errors: string[] }>;
  stop(): Promise<void>;
}

export async function startConsole(options: FixtureOptions = {}): Promise<ConsoleRig> {
  if (isWebStale()) await buildWeb();
  const fixture = startFixture({ now: () => NOW_MS, ...options });
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'],
  });
  return {
    fixture,
    open: async (path, { width, theme } = { width: 1440, theme: 'light' }) => {
      const page = await browser.newPage({
        viewport: { width, height: width === 390 ? 844 : 900 },
        colorScheme: theme,
        reducedMotion: 'reduce',
        timezoneId: 'UTC',
      });
      page.setDefaultTimeout(10_000);
      await page.clock.setFixedTime(NOW_MS);
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text());
      });
      await page.goto(fixture.address + path);
      return { page, errors };
    },
    stop: async () => {
      await browser.close();
      await fixture.stop();
    },
  };
}

export interface AxeProblem {
  readonly id: string;
  readonly nodes: readonly string[];
}

/** What breaks WCAG 2.1 A and AA. Chromium's console protocol runs it, so the page's content policy stays as it is. */
export async function axeProblems(page: Page): Promise<AxeProblem[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: {
        run: (
          options: unknown,
        ) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
      };
    };
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
    const { violations } = await axe.run({ runOnly: { type: 'tag', values: tags } });
    return violations.map(({ id, nodes }) => ({
      id,
      nodes: nodes.map(({ html }) => html.slice(0, 200)),
    }));
  });
}

/** Pixels by which the document is wider than the window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate('Math.max(0, document.documentElement.scrollWidth - innerWidth)');

/** Kept only when asked for: TULLE_PICTURES=1 npm test -- test/browser. */
export async function picture(page: Page, name: string): Promise<void> {
  if (process.env.TULLE_PICTURES !== '1') return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}
