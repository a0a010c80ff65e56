/** What a reader does on the console's pages, by keyboard and pointer: sorting, finding, opening, folding, changing, asking. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import type { ServiceAnswer } from '#console/api/lists.ts';
import { largeTopology } from '../../web/fixtures/large.ts';
import { axeFindings } from './axe.ts';
import { describeInBrowser, startConsole, type TestConsole } from './browser.ts';

/** A test that is cut off takes the browser of the others with it. */
setDefaultTimeout(60_000);

describeInBrowser("the console's tables", () => {
  let rig: TestConsole;
  beforeAll(async () => {
    rig = await startConsole();
  });
  afterAll(() => rig?.stop());

  test('a header sorts, the order is in the address, and a second click turns it round', async () => {
    const page = await rig.open('/workloads');
    await page.getByRole('button', { name: 'p95' }).click();
    await page.waitForURL(/sort=-p95/);
    await page
      .getByRole('columnheader', { name: 'p95' })
      .and(page.locator('[aria-sort=descending]'))
      .waitFor();
    const first = page.locator('tbody tr').first();
    expect(await first.textContent()).toContain('archive-v1');
    await page.getByRole('button', { name: 'p95' }).click();
    await page.waitForURL(/sort=p95/);
    expect(await first.textContent()).not.toContain('archive-v1');
  });

  test('words and comparisons filter, and what is not understood is said', async () => {
    const page = await rig.open('/workloads');
    const filter = page.getByRole('searchbox', { name: 'Filter' });
    await filter.fill('namespace:payments fraud rate>1');
    await page.getByText('1 of 19').waitFor();
    expect(await page.locator('tbody tr').textContent()).toContain('fraud-v1');
    await filter.fill('colour:red');
    await page.getByText('No column colour').waitFor();
    await page.getByRole('button', { name: 'Failing 2' }).click();
    await page.waitForURL(/health/);
  });

  test('a waypoint stands with what passes it, and leads to where the graph shows it', async () => {
    const page = await rig.open('/workloads?filter=name:waypoint');
    const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: /waypoint/ }) });
    expect(await row.textContent()).toMatch(/requests reached it.*req\/s.*%/);
    await row.getByRole('link').click();
    const callers = page.getByRole('region', { name: 'Who calls it' });
    await callers.getByText('frontend-v3').waitFor();
    await callers.getByRole('link', { name: 'In the graph' }).click();
    await page.waitForURL(/waypoints=1/);
  });

  test('the rail lights the entry of a page, also of one that it does not name', async () => {
    for (const [path, entry] of [
      ['/services', 'Services'],
      ['/apps', 'Workloads'],
      ['/apps/shop/product-service', 'Workloads'],
    ]) {
      const page = await rig.open(path);
      const lit = page.getByRole('navigation', { name: 'Pages' }).locator('[aria-current=page]');
      await lit.waitFor();
      expect(await lit.textContent()).toBe(entry);
      await page.close();
    }
  });

  test('one Tab stop, arrow keys and j move, Enter opens', async () => {
    const page = await rig.open('/workloads?sort=name');
    await page.getByRole('link', { name: /archive-v1/ }).focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/workloads\/shop\/checkout-v2/);
    await page.getByRole('heading', { name: 'checkout-v2' }).waitFor();
  });

  test('a column of numbers lines up at its right edge', async () => {
    const page = await rig.open('/workloads');
    await page.locator('tbody tr').nth(5).waitFor();
    const edges: number[] = await page.evaluate(
      `[...document.querySelectorAll('tbody tr')].map((row) => { const range = document.createRange(); range.selectNodeContents(row.cells[6]); return Math.round(range.getBoundingClientRect().right); })`,
    );
    expect(Math.max(...edges) - Math.min(...edges)).toBeLessThanOrEqual(1);
  });
});

describeInBrowser('the console’s pages at work', () => {
  let rig: TestConsole;
  beforeAll(async () => {
    rig = await startConsole();
  });
  afterAll(() => rig?.stop());

  test('live requests arrive, pause holds them, and a row opens with its way to why', async () => {
    const page = await rig.open('/traffic');
    await page.locator('tbody tr').nth(2).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('status').filter({ hasText: 'paused' }).waitFor();
    await page.locator('tbody tr button').first().click();
    const details = page.getByRole('complementary', { name: 'Request' });
    await details.getByText('Reported by').waitFor();
    expect(await axeFindings(page)).toEqual([]);
    await details.getByRole('link', { name: 'Ask why' }).click();
    await page.waitForURL(/\/why\?.*host=/);
  });

  test('a trace folds and opens by keyboard', async () => {
    const page = await rig.open('/traffic/traces/t1');
    const spans = page.getByRole('treeitem');
    await spans.nth(6).waitFor();
    await spans.nth(0).focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowLeft');
    expect(await spans.count()).toBe(4);
    await page.keyboard.press('ArrowRight');
    expect(await spans.count()).toBe(7);
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'Span' }).waitFor();
    await page.waitForURL(/span=/);
  });

  test('an object is completed, judged at its line, and applied with the token against forged requests', async () => {
    const page = await rig.open('/config/VirtualService/payments/fraud');
    const editor = page.getByRole('textbox', { name: 'YAML' });
    await page.getByRole('button', { name: 'line 10' }).click();
    await editor.focus();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('  mt');
    await page.getByRole('option', { name: /mtls/ }).waitFor();
    await page.keyboard.press('Escape');
    const preview = page.getByRole('region', { name: 'What applying changes' });
    expect(await preview.getByRole('insertion').textContent()).toBe('+   mt');
    await page.keyboard.press('Backspace');
    await page.keyboard.press('Backspace');
    await page.getByText('not judged since it changed').waitFor();
    await page.getByRole('button', { name: 'Validate' }).click();
    await page
      .getByRole('status')
      .filter({ hasText: /valid|accepted/ })
      .waitFor();
    const sent = page.waitForRequest((request) => request.method() === 'PUT');
    await page.getByRole('button', { name: 'Apply' }).click();
    expect((await sent).headers()['x-tulle-csrf'] ?? '').not.toBe('');
    expect(rig.takeErrors()).toEqual([]);
  });

  test('letters in the editor are text, not the keys of the frame', async () => {
    const page = await rig.open('/config/VirtualService/payments/fraud');
    await page.getByRole('textbox', { name: 'YAML' }).focus();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('gw?');
    expect(new URL(page.url()).pathname).toBe('/config/VirtualService/payments/fraud');
    expect(await page.locator('dialog').count()).toBe(0);
  });

  test('a curl line fills the form of why, and the form writes the line', async () => {
    const page = await rig.open('/why');
    const line = page.getByLabel(/curl line/);
    await line.fill("curl -X POST -H 'x-canary: true' http://product-service.shop:8080/a?b=1");
    await line.press('Enter');
    expect(await page.getByLabel('Port').inputValue()).toBe('8080');
    expect(await page.getByLabel(/Headers/).inputValue()).toBe('x-canary: true');
    await page.getByLabel(/^From/).fill('shop/web');
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText('It arrives').waitFor();
    await page.waitForURL(/method=POST/);
    await page.getByLabel(/^Path/).fill('/other');
    expect(await line.inputValue()).toContain('http://product-service.shop:8080/other');
  });

  test('why asks for no more than a host before one was typed, and takes a request that happened', async () => {
    const page = await rig.open('/why');
    await page.getByText('Say where the request goes').waitFor();
    const rows = page.getByRole('table', { name: 'Requests that happened' }).getByRole('row');
    await rows.nth(1).getByRole('button').first().click();
    await page.waitForURL(/host=/);
    expect(await page.getByLabel(/^To/).inputValue()).not.toBe('');
    await page.getByText('Step by step').waitFor();
  });

  test('the tools of live traffic stand in one line', async () => {
    const page = await rig.open('/traffic', { width: 1280 });
    await page.getByText(/requests seen/).waitFor();
    const boxes = await Promise.all([
      page.getByRole('button', { name: 'Pause' }).boundingBox(),
      page.getByRole('button', { name: /export|save/i }).boundingBox(),
    ]);
    expect(boxes[0]!.y).toBe(boxes[1]!.y);
  });

  test('a name is drawn as it is spelt, without signs that a font puts together', async () => {
    const page = await rig.open('/mesh');
    const heading = page.locator('h2').first();
    await heading.waitFor();
    await page.evaluate("document.querySelector('h2').textContent = 'istiod-2x2'");
    const drawn = await heading.screenshot();
    await page.evaluate(
      "document.querySelector('h2').style.fontVariantLigatures = 'no-contextual'",
    );
    expect(drawn.equals(await heading.screenshot())).toBe(true);
  });

  test('a cell of the matrix says in words what it shows, and leads to the requests', async () => {
    const page = await rig.open('/security');
    const cell = page.getByRole('link', {
      name: /shop\/checkout-v2 to legacy\/warehouse: plaintext/,
    });
    await cell.click();
    await page.waitForURL(/\/traffic\?tab=recent&workloads=legacy\/warehouse/);
  });

  test('without a policy the next step is STRICT, with whom it would refuse, then a policy', async () => {
    const page = await rig.open('/security');
    const strict = page.getByRole('region', { name: 'Make shop STRICT' });
    expect(await strict.textContent()).toMatch(
      /All [\d,]+ requests.*STRICT would have refused none/,
    );
    expect(await strict.locator('code').textContent()).toMatch(
      /^tulle apply -f - <<'EOF'\n.*kind: PeerAuthentication\n.*namespace: shop\n.*mode: STRICT\nEOF$/s,
    );
    await page.route('**/api/v1/mtls*', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), policies: [] } });
    });
    await page.getByRole('link', { name: 'Policies' }).click();
    await page.reload();
    await page.getByText('No policy says who may call whom').waitFor();
    expect(await page.locator('main code').textContent()).toContain('mode: STRICT');
    await page.getByRole('link', { name: /write an AuthorizationPolicy/ }).click();
    await page.waitForURL(/\/config\/new\?.*kind=AuthorizationPolicy/);
    await page.close();
  });

  test('a caller by two protocols is named with each of them, the others with none', async () => {
    const page = await rig.open('/overview');
    await page.route('**/api/v1/services/shop/product-service?*', async (route) => {
      const response = await route.fetch();
      const answer: ServiceAnswer = await response.json();
      const edges = answer.graph.edges.flatMap((edge) => {
        if (edge.source !== 'service/shop/frontend') return [edge];
        const [requestsPerSecond, connectionsPerSecond] = [0, 2];
        const id = `${edge.source} ${edge.target} tcp`;
        const own = { id, protocol: 'tcp' as const, requestsPerSecond, connectionsPerSecond };
        return [edge, { ...edge, ...own, split: undefined }];
      });
      await route.fulfill({ response, json: { ...answer, graph: { ...answer.graph, edges } } });
    });
    await page.goto(`${rig.fixture.address}/services/shop/product-service`);
    const rows = page.getByRole('region', { name: 'Who calls it' }).getByRole('listitem');
    const twice = rows.filter({ hasText: 'frontend' });
    await twice.nth(1).waitFor();
    expect(await twice.nth(0).textContent()).toMatch(/HTTP.*req\/s/);
    expect(await twice.nth(1).textContent()).toMatch(/TCP.*2 conn\/s/);
    for (const text of await rows.filter({ hasNotText: 'frontend' }).allTextContents())
      expect(text).not.toMatch(/HTTP|TCP/);
    await page.close();
  });

  test('dragging over a chart chooses its span for the page', async () => {
    const page = await rig.open('/workloads/shop/product-service-v1');
    const chart = page.getByRole('img', { name: /^Requests:/ });
    await chart.waitFor();
    const box = (await chart.boundingBox())!;
    await page.mouse.move(box.x + 200, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + 400, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/window=\d+s&at=2026-03-13T14:2/);
  });

  test('logs show one source alone and what does not match is hidden', async () => {
    const page = await rig.open('/workloads/shop/product-service-v1?tab=logs');
    const log = page.getByRole('log');
    await log.getByText('level=info').first().waitFor();
    await page.getByLabel('Application').uncheck();
    await page.waitForURL(/without=application/);
    expect(await log.getByText('level=info').count()).toBe(0);
    await page.getByLabel('Show: text or /pattern/').fill('/(/');
    await page.getByText(/Invalid regular expression|missing|unterminated/i).waitFor();
  });
});

describeInBrowser('the console’s pages when there is little, much, or no answer', () => {
  test('two thousand workloads are few elements, and the last one is reached', async () => {
    const rig = await startConsole({ topology: largeTopology({ workloads: 2000, edges: 4000 }) });
    const page = await rig.open('/workloads?sort=name');
    await page.locator('tbody tr a').first().waitFor();
    expect(await page.locator('tbody tr').count()).toBeLessThan(80);
    await page.locator('tbody tr a').first().focus();
    await page.keyboard.press('End');
    await page.locator('tr[data-active=true] a').and(page.locator(':focus')).waitFor();
    const rows = await page.getByRole('table', { name: 'Workloads' }).getAttribute('aria-rowcount');
    expect(await page.locator('tr[data-active=true]').getAttribute('aria-rowindex')).toBe(rows);
    await rig.stop();
  });

  test('an empty mesh says what to do, on each page', async () => {
    const rig = await startConsole({ isEmpty: true });
    for (const [path, says] of [
      ['/overview', 'No namespace is in the mesh'],
      ['/workloads', 'No workload in sight'],
      ['/services', 'No service in sight'],
      ['/security', 'Nobody talked in this window'],
    ]) {
      const page = await rig.open(path);
      await page.getByText(says).first().waitFor();
      await page.close();
    }
    await rig.stop();
  });

  test('what is not there is said in the words of the page, with where to look', async () => {
    const rig = await startConsole();
    for (const [path, says, leads] of [
      ['/workloads/shop/nope', 'There is no workload nope in shop', '/workloads?ns=shop'],
      ['/services/shop/nope', 'There is no service nope in shop', '/services?ns=shop'],
      ['/apps/shop/nope', 'There is no app nope in shop', '/apps?ns=shop'],
      ['/config/Sidecar/shop/nope', 'There is no Sidecar nope in shop', '/config?kind=Sidecar'],
      [
        `/traffic/traces/${'0'.repeat(32)}`,
        `The trace ${'0'.repeat(32)} is not kept`,
        'tab=traces',
      ],
    ]) {
      const page = await rig.open(path);
      const said = page.getByRole('alert');
      await said.waitFor();
      expect(await said.textContent()).toStartWith(says);
      expect(await said.textContent()).not.toContain('/api/');
      expect(await said.textContent()).toContain('tulle ');
      expect(await said.getByRole('link').first().getAttribute('href')).toEndWith(leads);
      await page.close();
    }
    await rig.stop();
  });

  test('a control plane that stops answering leaves the last answer in sight and says how old it is', async () => {
    const rig = await startConsole();
    const page = await rig.open('/workloads');
    await page.getByText('recommendations-v1').waitFor();
    rig.fixture.isDown = true;
    await page.getByText('The store is not reachable').first().waitFor();
    expect(await page.getByText('recommendations-v1').count()).toBeGreaterThan(0);
    await rig.stop();
  });
});
