/** What reaches the pen, by the pen that writes SVG. */
import { describe, expect, test } from 'bun:test';
import { COLUMN_GAP, FIELD_HEAD, FIELD_PAD } from '../layout/types.ts';
import type { Difference, EdgeMark, FieldMark, NodeMark } from '../scene/marks.ts';
import { drawField, drawNode } from './draw-nodes.ts';
import { drawDifference } from './glyphs.ts';
import { alphaOf, type Emphasis, type Painting } from './paint.ts';
import { drawTicks, PARTICLES_MAX } from './particles.ts';
import { SvgPen } from './svg-pen.ts';
import type { DrawTheme } from './theme.ts';

const NOTHING: Emphasis = { focus: undefined, found: undefined, selected: new Set() };
const LOOKS = {
  healthy: '#080',
  degraded: '#a60',
  failing: '#c00',
  unknown: '#777',
  idle: '#999',
  tcp: '#00c',
};
const THEME: DrawTheme = {
  ground: '#fff',
  field: '#fff',
  fieldLine: '#fff',
  line: '#ccc',
  quiet: '#666',
  text: '#000',
  soft: '#eee',
  accent: '#50c',
  accentSoft: '#eef',
  looks: LOOKS,
  tints: LOOKS,
  edges: LOOKS,
};
const BOX = { x: 0, y: 0, width: 300, height: 100 };

const edge = (count: number, errorShare: number, isTcp = false) =>
  ({
    id: 'web cart http',
    width: 2,
    curve: [0, 50, 100, 50, 200, 50, 300, 50],
    particles: { count, speed: 40, errorShare, isTcp },
  }) as unknown as EdgeMark;

function ticksOf(edges: readonly EdgeMark[], emphasis = NOTHING): string[] {
  const pen = new SvgPen();
  drawTicks(pen, { edges, emphasis, theme: THEME, zoom: 1 });
  return pen.document(BOX, '#fff').match(/<path[^>]*>/g) ?? [];
}

describe('drawTicks', () => {
  test('draws one stroke across the edge for each particle, and the share of errors as diamonds', () => {
    const paths = ticksOf([edge(8, 0.25)]);
    expect(paths).toHaveLength(8);
    expect(paths.filter((path) => path.includes(`fill="${LOOKS.failing}"`))).toHaveLength(2);
    const [first] = paths;
    // Upright on a level edge: from above it to below it at one place.
    expect(first).toContain('d="M18.75 54L18.75 46"');
  });

  test('shows few errors by one diamond, connections in their colour, and nothing where nothing flows', () => {
    expect(ticksOf([edge(10, 0.001)]).filter((path) => path.includes('fill="#c00"'))).toHaveLength(
      1,
    );
    expect(ticksOf([edge(1, 0, true)])[0]).toContain(`stroke="${LOOKS.tcp}"`);
    expect(ticksOf([edge(0, 0)])).toEqual([]);
    expect(ticksOf([edge(5, 0)], { ...NOTHING, focus: new Set(['other']) })).toEqual([]);
  });

  test('draws no more than particles would be', () => {
    const many = Array.from({ length: 200 }, () => edge(10, 0));
    expect(ticksOf(many)).toHaveLength(PARTICLES_MAX);
  });
});

test('drawDifference differs by its sign, not by its colour alone', () => {
  const signs = (['added', 'removed', 'worse', 'better'] satisfies Difference[]).map((change) => {
    const pen = new SvgPen();
    drawDifference(pen, change, { x: 50, y: 50, theme: THEME });
    return (pen.document(BOX, '#fff').match(/ d="[^"]*"/g) ?? []).join();
  });
  expect(new Set(signs).size).toBe(4);
});

test('alphaOf fades only what is new', () => {
  const painting = { fading: { ids: new Set(['new']), share: 0.4 } } as unknown as Painting;
  expect([alphaOf(painting, 'new', 0.5), alphaOf(painting, 'old', 0.5)]).toEqual([0.2, 0.5]);
  expect(alphaOf({ ...painting, fading: undefined }, 'new', 1)).toBe(1);
});

test('drawField writes namespaces of many heights in few sizes, none larger than its field has room for', () => {
  const zoom = 0.1;
  const painting = {
    scene: { level: 'namespaces' },
    view: { x: 0, y: 0, zoom, width: 1440, height: 800 },
    theme: THEME,
    emphasis: NOTHING,
  } as unknown as Painting;
  const sizes = Array.from({ length: 60 }, (_, at) => {
    const height = 300 + 3 * at;
    const field: FieldMark = {
      id: `ns ${at}`,
      box: { x: 0, y: 0, width: 2000, height },
      title: 'shop',
      detail: '50 workloads',
      look: 'healthy',
    };
    const pen = new SvgPen();
    drawField(pen, field, painting);
    const [title] = pen.document(BOX, '#fff').match(/(?<=font-size=")[\d.]+/g) ?? [];
    const size = Number(title);
    expect(size).toBeLessThanOrEqual(height / 4);
    expect(size * zoom).toBeGreaterThan((height * zoom) / 4 - 0.5);
    return size;
  });
  expect(new Set(sizes).size).toBeLessThan(12);
});

/** Left edges of the boxes that were drawn, in order. */
const leftsIn = (pen: SvgPen) =>
  [...pen.document(BOX, '#fff').matchAll(/d="M(\S+) \S+?h[-\d.]+a(\S+)/g)].map(
    ([, x, radius]) => Number(x) - Number(radius),
  );

describe('drawNode', () => {
  const mark = (title: string) =>
    ({
      id: 'cart',
      title,
      box: { x: 0, y: 0, width: 160, height: 44 },
      shape: 'box',
      look: 'failing',
      shares: [],
      badges: [],
      ejected: [],
    }) as unknown as NodeMark;
  const drawn = (title: string, level: string) => {
    const pen = new SvgPen();
    const view = { x: 0, y: 0, zoom: 0.2, width: 390, height: 520 };
    const painting = { scene: { level }, view, theme: THEME, emphasis: NOTHING };
    drawNode(pen, mark(title), painting as unknown as Painting);
    return pen.document(BOX, '#fff');
  };

  test('keeps the name of a node of a map in its field, which does not reach the names beside it', () => {
    for (const zoom of [0.15, 0.2, 0.3, 0.41]) {
      const pen = new SvgPen();
      const view = { x: 0, y: 0, zoom, width: 390, height: 520 };
      const scene = { level: 'workloads' };
      const painting = { scene, view, theme: THEME, emphasis: NOTHING } as unknown as Painting;
      const node = mark('a-name-that-is-as-long-as-names-of-services-may-be');
      const box = { x: -FIELD_PAD, y: -FIELD_HEAD, width: 160 + 2 * FIELD_PAD, height: 82 };
      drawField(pen, { id: 'shop', box, title: 'shop', detail: '', look: 'healthy' }, painting);
      const [field] = leftsIn(pen);
      drawNode(pen, node, painting);
      const name = Math.min(...leftsIn(pen).slice(2));
      expect(name).toBeLessThan(0);
      expect(field).toBeLessThan(name);
      expect(field).toBeGreaterThan(-COLUMN_GAP - name);
    }
  });

  test('names a node of a map, and is as wide as the name', () => {
    expect(drawn('product-service', 'workloads')).toMatch(/>prod\w*…\w*ice</);
    expect(drawn('product-service', 'apps')).not.toContain('<text');
  });
});
