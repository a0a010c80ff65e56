/** The graph in a real browser on an invented mesh: what a person reads, does with hand and keys, and what a screen reader is told. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import type { Page } from 'playwright-core';
import { eventually } from '#test/support/lab.ts';
import { axeFindings } from './axe.ts';
import {
  describeInBrowser,
  overflow,
  picture,
  resize,
  startConsole,
  type TestConsole,
  THEMES,
  WIDTHS,
} from './browser.ts';

/** A test that is cut off takes the browser of the others with it. */
setDefaultTimeout(60_000);

/** Middle of a quiet hour, so that pictures are the same each time. */
const NOON = Date.UTC(2026, 5, 1, 12, 0, 4);
describeInBrowser('the graph in a browser', () => {
  let rig: TestConsole;
  beforeAll(async () => {
    rig = await startConsole({ nowMs: NOON });
  });
  afterAll(() => rig?.stop());

  const open = (...asked: Parameters<TestConsole['open']>) => rig.open(...asked);
  const stage = (page: Page) => page.getByRole('application');
  const isSaid = (page: Page, hasText: RegExp) =>
    page.locator('#graph-said').filter({ hasText }).waitFor({ state: 'attached' });

  for (const width of WIDTHS) {
    for (const theme of THEMES) {
      test(`shows its nodes and passes axe at ${width} pixels in ${theme}`, async () => {
        const page = await open('/graph', { width, theme });
        await page.locator('[role=application][aria-busy=false]').waitFor();
        expect(await stage(page).getAttribute('aria-label')).toContain(
          '21 nodes and 25 connections',
        );
        await page.getByText('21 nodes, 25 connections').waitFor();
        expect(await overflow(page)).toBe(0);
        await page.waitForTimeout(300);
        await picture(page, `graph-${width}-${theme}`);
        expect(await axeFindings(page)).toEqual([]);
        await page.close();
      });
    }
  }

  test('is read by arrow keys: the node under them is told in a sentence, and its panel opens', async () => {
    const page = await open('/graph');
    await page.getByText('21 nodes').waitFor();
    await page.locator('[role=application][aria-busy=false]').waitFor();
    await stage(page).focus();
    await page.keyboard.press('ArrowRight');
    await isSaid(page, /^unknown, healthy/);
    await page.keyboard.press('ArrowRight');
    await isSaid(page, /^storefront in shop, healthy: .*Called by 1, calls 1\.$/);
    await page
      .getByRole('complementary', { name: 'Details' })
      .getByRole('heading', { name: 'storefront' })
      .waitFor();
    await page.keyboard.press('Escape');
    expect(await page.getByRole('complementary', { name: 'Details' }).count()).toBe(0);
    await page.close();
  });

  test('opens at the node of an address: health with its reason, ejected endpoint, peers, failures that lead to trace and why', async () => {
    const page = await open('/graph?node=workload/shop/product-service-v2');
    const panel = page.getByRole('complementary', { name: 'Details' });
    await panel.getByText('(limit 10 %)').waitFor();
    await panel.getByText('back in 42 s').waitFor();
    await panel.getByRole('button', { name: 'frontend-v3' }).waitFor();
    const failure = panel
      .getByRole('region', { name: 'Recent failures' })
      .getByRole('listitem')
      .first();
    expect(await failure.textContent()).toContain('503');
    expect(await failure.getByRole('link', { name: 'Trace' }).getAttribute('href')).toMatch(
      /^\/traffic\/traces\/[0-9a-f]{32}/,
    );
    expect(await failure.getByRole('link', { name: 'Why' }).getAttribute('href')).toContain(
      '/why?',
    );
    await picture(page, 'graph-panel');
    expect(await axeFindings(page)).toEqual([]);
    const paths = panel.getByRole('region', { name: 'Top paths' });
    await paths.getByText(/^Of \d+ requests that are kept/).waitFor();
    await paths.getByRole('button', { name: 'Watch' }).click();
    await paths.getByText(/^Of \d+ requests? that came by since/).waitFor();
    const path = paths.getByRole('link', { name: /^GET \// }).first();
    expect(await path.getAttribute('href')).toMatch(
      /^\/traffic\?node=workload\/shop\/product-service-v2&tab=recent&methods=GET&pathPrefix=\//,
    );
    await page.close();
  });

  test('offers by the keyboard and by the other button what can be done with a node, and gives the focus back', async () => {
    const page = await open('/graph?node=workload/payments/ledger-v1');
    await page.locator('[role=application][aria-busy=false]').waitFor();
    await stage(page).focus();
    await page.keyboard.press('Shift+F10');
    const menu = page.getByRole('menu', { name: 'ledger-v1' });
    const item = (name: string) => menu.getByRole('menuitem', { name, exact: true });
    const focused = page.locator(':focus');
    await item('Open').and(focused).waitFor();
    expect(await item('Logs').getAttribute('href')).toBe('/workloads/payments/ledger-v1?tab=logs');
    expect(await item('Traces').getAttribute('href')).toBe(
      '/traffic?node=workload/payments/ledger-v1&tab=traces',
    );
    expect(await item('Why').getAttribute('href')).toBe('/why?from=payments/ledger-v1');
    expect(await axeFindings(page)).toEqual([]);
    await page.keyboard.press('ArrowUp');
    await item('Copy its id').and(focused).waitFor();
    const corner = (await menu.boundingBox())!;
    await page.keyboard.press('Escape');
    expect(await menu.count()).toBe(0);
    await stage(page).and(focused).waitFor();

    // The menu stood where the node is.
    await page.mouse.click(corner.x, corner.y, { button: 'right' });
    await item('Only its neighbourhood').click();
    await page.getByText('4 nodes, 3 connections').waitFor();
    await stage(page).and(focused).waitFor();
    await page.mouse.click(corner.x, corner.y);
    expect(await menu.count()).toBe(0);
    await page.close();
  });

  test('finds and hides by expression, says what it cannot read, and keeps both in the address', async () => {
    const page = await open('/graph');
    await page.getByText('21 nodes').waitFor();
    await page.getByLabel('Find', { exact: true }).fill('failing');
    await page.getByText('5 found').waitFor();
    await page.getByLabel('Hide', { exact: true }).fill('namespace = media');
    await page.getByText('3 hidden').waitFor();
    expect(page.url()).toContain('find=failing');
    await page.getByLabel('Find', { exact: true }).fill('speed > 1');
    await page.getByRole('alert').getByText('there is no field speed').waitFor();
    await page.close();
  });

  test('leads into a neighbourhood by Enter and out again, and shows the same as rows', async () => {
    const page = await open('/graph?node=workload/payments/ledger-v1');
    await page.getByText('21 nodes').waitFor();
    await stage(page).focus();
    await page.keyboard.press('Enter');
    await page.getByText('4 nodes, 3 connections').waitFor();
    await page.getByRole('button', { name: /leave its neighbourhood/ }).click();
    await page.getByText('21 nodes').waitFor();
    await page.getByRole('button', { name: 'Table' }).click();
    const table = page.getByRole('table', { name: 'Who talks to whom' });
    expect(await table.getAttribute('aria-rowcount')).toBe('26');
    await table.getByRole('button', { name: 'shop/storefront' }).first().press('Enter');
    const panel = page.getByRole('complementary', { name: 'Details' });
    await panel.getByText('HTTP connection').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await page.close();
  });

  test('scrubs to a moment that the address names, with the configuration in force, and goes back to now', async () => {
    const page = await open('/graph');
    await page.getByText('21 nodes').waitFor();
    await page.getByRole('slider', { name: 'Moment' }).focus();
    await page.keyboard.press('PageDown');
    await page
      .getByText(/VirtualService shop\/product-service changed at .* was in force/)
      .waitFor();
    expect(page.url()).toContain('at=2026-06-01T11:59:04Z');
    await page.getByRole('button', { name: 'Live' }).click();
    expect(page.url()).not.toContain('at=');
    await page.close();
  });

  const painted = (page: Page) => page.locator('[role=application][aria-busy=false]').waitFor();
  /** Nodes and labels as they are painted, as a number that differs when they do. */
  const map = async (page: Page) =>
    Bun.hash(
      await page.evaluate<string>(
        `document.querySelectorAll('[role=application] canvas')[2].toDataURL()`,
      ),
    );
  /** It stands still: letters are there, and nothing is on its way. */
  const steadyMap = async (page: Page) => {
    await painted(page);
    await page.getByText('21 nodes').waitFor();
    return eventually('a map that stands still', async () => {
      const before = await map(page);
      await page.waitForTimeout(300);
      return (await map(page)) === before ? before : undefined;
    });
  };

  test('on a phone fits the map again with room for the names at its sides', async () => {
    const page = await open('/graph', { width: 390 });
    const first = await steadyMap(page);
    await stage(page).focus();
    await page.keyboard.press('+');
    expect(await steadyMap(page)).not.toBe(first);
    await page.keyboard.press('0');
    expect(await steadyMap(page)).toBe(first);
    await page.close();
  });

  test('on a phone that is turned looks as if it had been so from the start, both ways', async () => {
    const page = await open('/graph', { width: 390 });
    const upright = await steadyMap(page);
    await page.setViewportSize({ width: 844, height: 390 });
    const lying = await steadyMap(page);
    await page.reload();
    expect(await steadyMap(page)).toBe(lying);
    await resize(page, 390);
    expect(await steadyMap(page)).toBe(upright);
    await page.close();
  });

  /** Of the canvas over the edges: how many pixels are painted, and all of them as a text. */
  const traffic = (page: Page) =>
    page.evaluate<{ painted: number; text: string }>(`(() => {
      const canvas = document.querySelectorAll('[role=application] canvas')[1];
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let painted = 0;
      for (let at = 3; at < data.length; at += 4) if (data[at] > 0) painted += 1;
      return { painted, text: canvas.toDataURL() };
    })()`);
  /** Two looks at it, a while apart, between which it stood still or moved; the page may be laid out anew before. */
  const trafficThat = (page: Page, wanted: 'stands' | 'moves') =>
    eventually(`traffic that ${wanted}`, async () => {
      const before = await traffic(page);
      await page.waitForTimeout(300);
      const isSame = (await traffic(page)).text === before.text;
      return before.painted > 0 && isSame === (wanted === 'stands') ? before : undefined;
    });

  test('shows traffic as ticks that stand still to those who want no motion, and none when asked', async () => {
    const page = await open('/graph');
    await painted(page);
    await trafficThat(page, 'stands');
    await page.goto(`${rig.fixture.address}/graph?still=1`);
    await painted(page);
    await page.getByText('21 nodes').waitFor();
    expect((await traffic(page)).painted).toBe(0);
    await page.close();
  });

  test('moves traffic for those who do not mind', async () => {
    const page = await open('/graph', { isCalm: false });
    await painted(page);
    await trafficThat(page, 'moves');
    await page.close();
  });

  test('says in rows what two moments differ by', async () => {
    const page = await open('/graph?compare=2026-06-01T11:00:00Z&idle=1&table=1');
    await page.getByRole('columnheader', { name: 'Compared' }).waitFor();
    await page.close();
  });

  test('compares two moments', async () => {
    const page = await open('/graph?compare=2026-06-01T11:00:00Z&idle=1');
    await page.getByText(/nothing came, went or changed its health|worse|better/).waitFor();
    await page.close();
  });

  test('exports rows and a drawing', async () => {
    const page = await open('/graph');
    await page.getByText('21 nodes').waitFor();
    for (const [format, wanted] of [
      ['CSV', 'source,target,protocol'],
      ['SVG', '>product-service</text>'],
    ]) {
      await page.getByRole('button', { name: 'Export' }).click();
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: `Save as ${format}` }).click(),
      ]);
      expect(await Bun.file((await download.path())!).text()).toContain(wanted);
    }
    await page.close();
  });

  test('writes nothing to the console of the browser that is an error', () => {
    expect(rig.takeErrors()).toEqual([]);
  });
});
