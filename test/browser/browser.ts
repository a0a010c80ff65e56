/** Debian's Chromium for tests: found, started, and pages whose errors fail the test that opened them. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { buildWeb, isWebStale } from '../../tools/web.ts';

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const CHROMIUM = CANDIDATES.find((path) => existsSync(path));
/** Why a suite here cannot run; a machine of CI must have a browser. */
export const WITHOUT = CHROMIUM === undefined ? 'no Chromium: apt-get install chromium' : undefined;
const ROOT = join(import.meta.dir, '../..');
/** Pictures go there when asked for: TULLE_SCREENSHOTS=docs/console npm test -- test/browser. */
const PICTURES = process.env.TULLE_SCREENSHOTS;

export interface TestBrowser {
  readonly browser: Browser;
  open(address: string, options?: BrowserContextOptions): Promise<Page>;
  /** What pages wrote as errors, or threw. */
  readonly errors: readonly string[];
  stop(): Promise<void>;
}

/** Also builds the console where that is missing or old. */
export async function startBrowser(): Promise<TestBrowser> {
  if (isWebStale()) await buildWeb();
  // Root has no sandbox; pages are our own.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  const errors: string[] = [];
  return {
    browser,
    errors,
    async open(address, options = {}) {
      const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, ...options });
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text());
      });
      await page.goto(address);
      return page;
    },
    stop: () => browser.close(),
  };
}

/** Only where pictures are asked for. */
export async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  const folder = join(ROOT, PICTURES);
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
}
