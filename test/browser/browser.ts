/**
 * Pages in a real browser: Debian's Chromium over the built console, at a given width and theme. The console is served by the fixture server's invented mesh, whose clock
 * stands still so that pictures are the same each time, or by whatever is at an address.
 */
import { describe } from 'bun:test';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { missingFor } from '#test/support/lab.ts';
import { buildWeb, isWebStale } from '../../tools/web.ts';
import { type Fixture, type FixtureOptions, startFixture } from '../../web/fixtures/server.ts';

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const CHROMIUM = CANDIDATES.find((path) => existsSync(path));
const PICTURES = join(import.meta.dir, '../../docs/console');

/** Of a wide screen, of a small one and of a phone; with their heights. */
const HEIGHTS = { 1440: 900, 1280: 800, 390: 844 } as const;
export type Width = keyof typeof HEIGHTS;
export const WIDTHS: readonly Width[] = [1440, 1280, 390];
export const THEMES = ['light', 'dark'] as const;

export interface Look {
  readonly width?: Width;
  readonly theme?: (typeof THEMES)[number];
  /** The reader wants no motion. */
  readonly isCalm?: boolean;
  /** The page's clock stands there. */
  readonly nowMs?: number;
}

export interface TestBrowser {
  open(address: string, look?: Look): Promise<Page>;
  /** What pages wrote as errors, or threw, since it was asked last. */
  takeErrors(): string[];
  stop(): Promise<void>;
}

/** A suite that is skipped where something is missing, which its title says; in CI that is an error. */
export function describeInBrowser(
  title: string,
  suite: () => void,
  needs: { programs: readonly string[]; root?: boolean } = { programs: [] },
): void {
  const missing = missingFor({ ...needs, programs: [CHROMIUM ?? 'chromium', ...needs.programs] });
  const shown = missing === undefined ? title : `${title}: ${missing}`;
  describe.skipIf(missing !== undefined)(shown, suite);
}

/** Also builds the console where that is missing or old. */
export async function startBrowser(): Promise<TestBrowser> {
  if (isWebStale()) await buildWeb();
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    // Root has no sandbox; pages are our own.
    args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'],
  });
  let errors: string[] = [];
  return {
    async open(address, { width = 1440, theme = 'light', isCalm = false, nowMs } = {}) {
      const page = await browser.newPage({
        viewport: { width, height: HEIGHTS[width] },
        colorScheme: theme,
        reducedMotion: isCalm ? 'reduce' : 'no-preference',
        timezoneId: 'UTC',
      });
      if (nowMs !== undefined) await page.clock.setFixedTime(nowMs);
      page.on('pageerror', (error) => errors.push(String(error)));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text());
      });
      await page.goto(address);
      return page;
    },
    takeErrors() {
      const taken = errors;
      errors = [];
      return taken;
    },
    stop: () => browser.close(),
  };
}

export interface TestConsole extends TestBrowser {
  readonly fixture: Fixture;
  /** A path of the console. Nothing moves unless asked for. */
  open(path: string, look?: Look): Promise<Page>;
}

/** A Friday afternoon. */
export const NOW_MS = Date.UTC(2026, 2, 13, 14, 30, 0);

/** The console over an invented mesh. */
export async function startConsole({
  nowMs = NOW_MS,
  ...options
}: FixtureOptions & { nowMs?: number } = {}): Promise<TestConsole> {
  const browser = await startBrowser();
  const fixture = startFixture({ now: () => nowMs, ...options });
  return {
    fixture,
    open: (path, look = {}) =>
      browser.open(fixture.address + path, { isCalm: true, nowMs, ...look }),
    takeErrors: () => browser.takeErrors(),
    async stop() {
      await browser.stop();
      await fixture.stop();
    },
  };
}

export async function resize(page: Page, width: Width): Promise<void> {
  await page.setViewportSize({ width, height: HEIGHTS[width] });
}

/** Pixels by which the document is wider than the window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate('Math.max(0, document.documentElement.scrollWidth - innerWidth)');

/** Kept in docs/console, only when asked for: TULLE_PICTURES=1 npm test -- test/browser. */
export async function picture(page: Page, name: string): Promise<void> {
  if (process.env.TULLE_PICTURES !== '1') return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), animations: 'disabled' });
}
