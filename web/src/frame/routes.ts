/**
 * The pages: where they are, how they are called, and the file that is loaded when one is opened. The rail shows them in this
 * order. A page is the default export of its file and gets the path segments after its own.
 */
import {
  Boxes,
  FileCog,
  GitFork,
  LayoutDashboard,
  type LucideIcon,
  Radio,
  Server,
  ShieldCheck,
  SlidersHorizontal,
  Split,
} from 'lucide-react';
import { type ComponentType, lazy } from 'react';

export interface PageProps {
  /** Decoded: `/workloads/shop/cart` gives `["shop", "cart"]`. */
  readonly segments: readonly string[];
}

type Load = () => Promise<{ default: ComponentType<PageProps> }>;

export interface Route {
  /** First segment of the path. */
  readonly name: string;
  readonly title: string;
  readonly icon: LucideIcon;
  /** After `g`. */
  readonly key: string;
  /** Of a page that the rail does not name: the entry that leads to it. */
  readonly under?: string;
  /** Shows time: the time bar is at its foot. */
  readonly hasTime: boolean;
  readonly page: ComponentType<PageProps>;
  /** Begins to load it, before it is shown. */
  readonly load: Load;
}

function route(
  name: string,
  title: string,
  icon: LucideIcon,
  key: string,
  hasTime: boolean,
  load: Load,
): Route {
  let page: Route['page'] | undefined;
  const remembered: Load = async () => {
    const loaded = await load();
    page ??= loaded.default;
    return loaded;
  };
  return {
    name,
    title,
    icon,
    key,
    hasTime,
    load: remembered,
    get page() {
      // It stays what it was when it was first shown: another one would begin anew.
      page ??= lazy(load);
      return page;
    },
  };
}

export const ROUTES: readonly Route[] = [
  route(
    'overview',
    'Overview',
    LayoutDashboard,
    'o',
    true,
    () => import('../pages/overview/page.tsx'),
  ),
  route('graph', 'Graph', GitFork, 'g', true, () => import('../graph/page.tsx')),
  route('workloads', 'Workloads', Boxes, 'w', true, () => import('../pages/workload/page.tsx')),
  route('services', 'Services', Server, 's', true, () => import('../pages/service/page.tsx')),
  route('traffic', 'Traffic', Radio, 't', true, () => import('../pages/traffic/page.tsx')),
  route('security', 'Security', ShieldCheck, 'e', true, () => import('../pages/security/page.tsx')),
  route('config', 'Config', FileCog, 'c', false, () => import('../pages/config/page.tsx')),
  route('mesh', 'Mesh', SlidersHorizontal, 'm', false, () => import('../pages/mesh/page.tsx')),
  route('why', 'Why', Split, 'y', false, () => import('../pages/why/page.tsx')),
];

/** Pages that the rail does not name: others lead to them. */
const UNLISTED: readonly Route[] = [
  Object.assign(
    route('apps', 'Apps', Boxes, '', true, () => import('../pages/app/page.tsx')),
    { under: 'workloads' },
  ),
];

/** The page of a path, and what is left of it; `/` is the first one. */
export function routeOf(path: string): { route: Route | undefined; segments: readonly string[] } {
  const [name, ...rest] = path.split('/').filter((part) => part !== '');
  if (name === undefined) return { route: ROUTES[0], segments: [] };
  return {
    route: [...ROUTES, ...UNLISTED].find((each) => each.name === name),
    segments: rest.map(decoded),
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
