/**
 * The console's graph of 2,000 workloads and 20,000 edges in headless Chromium without a GPU: until the first picture, and frames a second while
 * one pans and zooms. How long a control plane takes to make the answer is the graph case's. Prints a BrowserReport; run by the graph case, or by itself: `node_modules/.bin/bun test/bench/graph/browser.ts`.
 */
import type { Page } from 'playwright-core';
import { largeTopology } from '../../../web/fixtures/large.ts';
import { startFixture } from '../../../web/fixtures/server.ts';
import { startBrowser } from '../../browser/browser.ts';

export interface BrowserReport {
  readonly workloads: number;
  readonly edges: number;
  /** From the start of the navigation, with an empty cache. */
  readonly firstPaintMs: number;
  /** By namespace, by app, and near. */
  readonly far: FrameFigures;
  readonly middle: FrameFigures;
  readonly near: FrameFigures;
  readonly zoom: FrameFigures;
}

export interface FrameFigures {
  readonly framesPerSecond: number;
  readonly p99Ms: number;
}

const SIZE = { workloads: 2000, edges: 20_000 };
const STEP_MS = 16;
const PAN_STEPS = 90;
/** Wheel steps from far to apps, and from there to where names and labels are read. */
const TO_APPS = 8;
const TO_NEAR = 9;
const SETTLE_MS = 1500;
const PATIENCE_MS = 60_000;
const MIDDLE = { x: 700, y: 430 };

/** Notes when the picture is there, by the page's own clock; then when each frame came. */
const WATCH = `
  globalThis.frames_ = [];
  const look = (at) => {
    if (globalThis.paintedAt_ === undefined && document.querySelector('[role=status]')?.textContent.includes('by namespace'))
      globalThis.paintedAt_ = performance.now();
    globalThis.frames_.push(at);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
`;

async function framesDuring(page: Page, act: () => Promise<void>): Promise<FrameFigures> {
  await page.evaluate('globalThis.frames_.length = 0');
  await act();
  const times = await page.evaluate<number[]>('globalThis.frames_');
  const gaps = times.slice(1).map((time, at) => time - times[at]);
  const sorted = gaps.toSorted((a, b) => a - b);
  return {
    framesPerSecond: Math.round((10_000 * gaps.length) / (times[times.length - 1] - times[0])) / 10,
    p99Ms: Math.round(sorted[Math.floor(sorted.length * 0.99)]),
  };
}

async function pan(page: Page): Promise<void> {
  await page.mouse.move(MIDDLE.x, MIDDLE.y);
  await page.mouse.down();
  for (let step = 0; step < PAN_STEPS; step += 1) {
    await page.mouse.move(
      MIDDLE.x + 280 * Math.sin(step / 9),
      MIDDLE.y + 150 * Math.cos(step / 11),
    );
    await page.waitForTimeout(STEP_MS);
  }
  await page.mouse.up();
}

async function zoomIn(page: Page, steps: number): Promise<void> {
  await page.mouse.move(MIDDLE.x, MIDDLE.y);
  for (let step = 0; step < steps; step += 1) {
    await page.mouse.wheel(0, -100);
    await page.waitForTimeout(3 * STEP_MS);
  }
}

export async function measureBrowser(): Promise<BrowserReport> {
  const fixture = startFixture({ topology: largeTopology(SIZE) });
  const browser = await startBrowser();
  try {
    // The invention is made by the first questions, and not what is measured; a page of its own asks them all. The next one has an empty cache again.
    const first = await browser.open(`${fixture.address}/graph`);
    await first.getByText('by namespace').first().waitFor({ timeout: PATIENCE_MS });
    await first.close();
    const page = await browser.open('about:blank');
    await page.addInitScript(WATCH);
    await page.goto(`${fixture.address}/graph`);
    await page.waitForFunction(() => Reflect.has(globalThis, 'paintedAt_'), undefined, {
      timeout: PATIENCE_MS,
    });
    const firstPaintMs = Math.round(await page.evaluate<number>('globalThis.paintedAt_'));
    await page.waitForTimeout(SETTLE_MS);
    const far = await framesDuring(page, () => pan(page));
    await zoomIn(page, TO_APPS);
    await page.waitForTimeout(SETTLE_MS);
    const middle = await framesDuring(page, () => pan(page));
    const zoom = await framesDuring(page, () => zoomIn(page, TO_NEAR));
    await page.waitForTimeout(SETTLE_MS);
    const near = await framesDuring(page, () => pan(page));
    return { ...SIZE, firstPaintMs, far, middle, zoom, near };
  } finally {
    await browser.stop();
    await fixture.stop();
  }
}

if (import.meta.main) {
  process.stdout.write(`${JSON.stringify(await measureBrowser())}\n`);
  process.exit(0);
}
