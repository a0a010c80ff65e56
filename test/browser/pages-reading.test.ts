/**
 * Each page of the console, at three widths and in both themes, says what a reader came for, fits, breaks no rule of WCAG 2.1 AA, and draws no
 * error of the browser. TULLE_PICTURES=1 keeps a picture of each in docs/console.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
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

interface Reading {
  readonly name: string;
  readonly path: string;
  /** Texts that are in sight somewhere on the page. */
  readonly says: readonly string[];
}

const PAGES: readonly Reading[] = [
  {
    name: 'overview',
    path: '/overview',
    says: ['Needs you now', 'product-service-v2 in shop', 'mTLS strict'],
  },
  { name: 'workloads', path: '/workloads', says: ['recommendations-v1', 'Failing 2', 'conn/s'] },
  { name: 'services', path: '/services', says: ['product-service', '1 ejected'] },
  { name: 'apps', path: '/apps', says: ['product-service', 'recommendations'] },
  {
    name: 'app',
    path: '/apps/shop/product-service',
    says: ['Workloads side by side', 'product-service-v2'],
  },
  {
    name: 'workload',
    path: '/workloads/shop/product-service-v1',
    says: ['Who calls it', '90 % intended', 'Latency, all requests'],
  },
  {
    name: 'workload-logs',
    path: '/workloads/shop/product-service-v1?tab=logs',
    says: ['Application', 'lines'],
  },
  {
    name: 'workload-config',
    path: '/workloads/shop/product-service-v1?tab=config',
    says: ['Who may call it', 'in order of effect'],
  },
  {
    name: 'workload-pods',
    path: '/workloads/shop/product-service-v1?tab=pods',
    says: ['product-service-v1-6b8f0c', 'Certificates'],
  },
  {
    name: 'service',
    path: '/services/shop/product-service',
    says: ['product-service.shop.svc.cluster.local', 'Ask why', '90 % intended'],
  },
  {
    name: 'service-endpoints',
    path: '/services/shop/product-service?tab=endpoints',
    says: ['ejected'],
  },
  { name: 'traffic', path: '/traffic', says: ['Pause'] },
  { name: 'traffic-failed', path: '/traffic?tab=failed', says: ['503'] },
  { name: 'traffic-traces', path: '/traffic?tab=traces', says: ['Traces', 'Took'] },
  {
    name: 'trace',
    path: '/traffic/traces/4bf92f3577b34da6a3ce929d0e0e4736',
    says: ['hop of the mesh', 'The mesh itself took'],
  },
  { name: 'security', path: '/security', says: ['were in plaintext', 'partly plaintext', 'Modes'] },
  { name: 'security-policies', path: '/security?tab=policies', says: ['AuthorizationPolicy'] },
  {
    name: 'security-certificates',
    path: '/security?tab=certificates',
    says: ['media/archive', 'in 50 min'],
  },
  { name: 'config', path: '/config', says: ['fraud', 'The host fraud-v2'] },
  {
    name: 'config-object',
    path: '/config/VirtualService/payments/fraud',
    says: ['IST0101', 'line 10', 'Validate'],
  },
  { name: 'config-new', path: '/config/new', says: ['New object', 'Apply'] },
  {
    name: 'mesh',
    path: '/mesh',
    says: ['The mesh may be the problem', 'Do clocks agree?', '4 of 5 in sync'],
  },
  { name: 'why-empty', path: '/why', says: ['Or pick one that happened', 'Say where'] },
  {
    name: 'why',
    path: '/why?from=shop/web&host=product-service.shop',
    says: ['It arrives', 'Waypoint shop/waypoint', '1 rule did not match'],
  },
  {
    name: 'why-denied',
    path: '/why?from=shop/web&host=product-service.shop&path=/admin',
    says: ['It is denied with 403', 'no-admin'],
  },
];
/** Pictures that are kept: at the first width, in the first theme. */
const KEPT = [
  'overview',
  'workload',
  'service',
  'app',
  'traffic-failed',
  'traffic-traces',
  'security',
  'security-certificates',
  'config',
  'config-object',
  'mesh',
  'why',
];

/** A test that is cut off takes the browser of the others with it. */
setDefaultTimeout(60_000);

describeInBrowser("the console's pages", () => {
  let rig: TestConsole;
  beforeAll(async () => {
    rig = await startConsole();
  });
  afterAll(() => rig?.stop());

  for (const theme of THEMES)
    for (const { name, path, says } of PAGES)
      test(`${name}, ${theme}, is read and breaks no rule`, async () => {
        const page = await rig.open(path, { theme });
        // Colours do not change what fits: every width in one theme.
        const widths = theme === THEMES[0] ? WIDTHS : [WIDTHS[1]];
        for (const width of widths) {
          await resize(page, width);
          for (const text of says)
            await page.getByText(text).filter({ visible: true }).first().waitFor();
          expect({ width, over: await overflow(page) }).toEqual({ width, over: 0 });
          expect({ width, axe: await axeFindings(page) }).toEqual({ width, axe: [] });
          if (theme === THEMES[0] && width === WIDTHS[0] && KEPT.includes(name))
            await picture(page, `${name}-${width}-${theme}`);
        }
        expect(rig.takeErrors()).toEqual([]);
        await page.close();
      });
});
