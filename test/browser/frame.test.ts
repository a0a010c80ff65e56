/** The frame in a real browser: log-in, palette, keys, themes, a control plane that goes away, and why nothing is shown. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { CONTENT_SECURITY_POLICY } from '#console/server/headers.ts';
import { type Fixture, type FixtureOptions, startFixture } from '../../web/fixtures/server.ts';
import { axeFindings } from './axe.ts';
import { describeInBrowser, NOW_MS, picture, startBrowser, type TestBrowser } from './browser.ts';

/** For pictures that are the same each time. */
const STILL = { isCalm: true, nowMs: NOW_MS };

describeInBrowser('the frame in a browser', () => {
  let browser: TestBrowser;
  const fixtures: Fixture[] = [];
  const serve = (options: FixtureOptions = {}) => {
    const fixture = startFixture(options);
    fixtures.push(fixture);
    return fixture;
  };

  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.stop();
    for (const fixture of fixtures) await fixture.stop();
  });

  test('asks for a token where one is needed, says when it is wrong, and lets in with a right one', async () => {
    const page = await browser.open(`${serve({ needsToken: true }).address}/graph`);
    await page.getByLabel('Token').fill('bad');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText('The token is not accepted').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await picture(page, 'login');
    await page.getByLabel('Token').fill('good');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('21 nodes').waitFor();
    await page.getByRole('button', { name: /Log out/ }).click();
    await page.getByLabel('Token').waitFor();
    await page.close();
  });

  test('goes anywhere by Ctrl-K, shows its keys by ?, and the command that prints the same', async () => {
    const page = await browser.open(`${serve({ now: () => NOW_MS }).address}/graph`, STILL);
    await page.getByText('21 nodes').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: /^Find a page/ }).fill('workload checkout');
    await page
      .getByRole('option', { name: /checkout-v2/ })
      .first()
      .waitFor();
    await picture(page, 'palette');
    expect(await axeFindings(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/workloads\/shop\/checkout-v2/);
    await page.keyboard.press('g');
    await page.keyboard.press('g');
    await page.waitForURL(/\/graph/);
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).getByText('Only its neighbourhood').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Show command' }).click();
    await page.getByText('tulle graph', { exact: true }).waitFor();
    await page.close();
  });

  test('remembers the theme that was chosen', async () => {
    const page = await browser.open(`${serve().address}/graph`, { theme: 'light' });
    const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    await page.getByText('21 nodes').waitFor();
    const light = await ground();
    await page.getByRole('button', { name: 'Theme: as the system' }).click();
    await page.getByRole('button', { name: 'Theme: light' }).click();
    expect(await ground()).not.toBe(light);
    await page.reload();
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
    expect(await ground()).not.toBe(light);
    await page.close();
  });

  test('says that the control plane is away and how old what is shown is, and comes back by itself', async () => {
    const fixture = serve();
    const own = await startBrowser();
    const page = await own.open(`${fixture.address}/overview`);
    await page.getByText('5 of 5 proxies in sync').first().waitFor();
    fixture.isDown = true;
    await page.getByRole('link', { name: /^Mesh: unknown/ }).waitFor({ timeout: 20_000 });
    fixture.isDown = false;
    await page.getByRole('link', { name: /^Mesh: healthy/ }).waitFor({ timeout: 20_000 });
    await own.stop();
  });

  test('tells why the graph is empty, and the command that mends the first broken link', async () => {
    const page = await browser.open(
      `${serve({ isEmpty: true, now: () => NOW_MS }).address}/graph`,
      STILL,
    );
    const why = page.getByRole('region', { name: 'Why nothing is shown' });
    await why.getByText('no pod of shop is captured').waitFor();
    await why.getByText('tulle status').waitFor();
    await picture(page, 'graph-empty');
    expect(await axeFindings(page)).toEqual([]);
    await page.close();
  });

  test('what is smuggled into a page neither runs nor changes its looks: the policy of the control plane is in force', async () => {
    const other = await startBrowser();
    const { address } = serve();
    const served = await fetch(address);
    expect(served.headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY);
    const page = await other.open(`${address}/overview`);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    expect(other.takeErrors()).toEqual([]);
    const smuggled = `(async () => {
      const refused = [];
      addEventListener('securitypolicyviolation', (event) => refused.push(event.effectiveDirective));
      const box = document.body.appendChild(document.createElement('div'));
      box.innerHTML = '<img src="/none.png" onerror="window.ran = 1"><p style="color: red">text</p><style>p { color: red }</style>';
      const script = document.createElement('script');
      script.textContent = 'window.ran = 2';
      box.append(script);
      setTimeout('window.ran = 3');
      await new Promise((resolve) => box.querySelector('img').complete ? resolve() : box.querySelector('img').addEventListener('error', resolve));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return { ran: window.ran, colour: getComputedStyle(box.querySelector('p')).color, refused: [...new Set(refused)].sort() };
    })()`;
    const { ran, colour, refused } = (await page.evaluate(smuggled)) as {
      ran: unknown;
      colour: string;
      refused: string[];
    };
    expect([ran, colour === 'rgb(255, 0, 0)']).toEqual([undefined, false]);
    for (const directive of [
      'script-src-attr',
      'script-src-elem',
      'style-src-attr',
      'style-src-elem',
    ])
      expect(refused).toContain(directive);
    await other.stop();
  });

  test('writes nothing to the console of the browser that is an error, besides what was refused', () => {
    expect(browser.takeErrors().filter((error) => !error.includes('401'))).toEqual([]);
  });
});
