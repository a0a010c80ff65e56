/** The tokens' colours as a canvas wants them: read from the page, once for each theme. */
import type { HealthStatus } from '#console/api/health.ts';
import type { Look } from '../scene/marks.ts';

export interface DrawTheme {
  readonly ground: string;
  readonly field: string;
  readonly fieldLine: string;
  readonly line: string;
  readonly quiet: string;
  readonly text: string;
  readonly soft: string;
  readonly accent: string;
  readonly accentSoft: string;
  readonly looks: Readonly<Record<Look, string>>;
  readonly tints: Readonly<Record<HealthStatus, string>>;
  /** Healthy edges are most of them: their colour is softened, so that the others stand out. */
  readonly edges: Readonly<Record<Look, string>>;
}

/** `probe` is an element of the page; its colour is set and read back. */
export function readTheme(probe: HTMLElement): DrawTheme {
  const colour = (value: string) => {
    probe.style.color = value;
    const read = getComputedStyle(probe).color;
    probe.style.color = '';
    return read;
  };
  const token = (name: string) => colour(`var(--${name})`);
  const looks = {
    healthy: token('healthy'),
    degraded: token('degraded'),
    failing: token('failing'),
    unknown: token('s7'),
    idle: token('s6'),
    tcp: token('tcp'),
  };
  const ground = token('s1');
  return {
    ground,
    field: token('s2'),
    fieldLine: token('s4'),
    line: token('s6'),
    quiet: token('s8'),
    text: token('s10'),
    soft: token('s3'),
    accent: token('accent'),
    accentSoft: token('accent-soft'),
    looks,
    tints: {
      healthy: ground,
      degraded: token('degraded-soft'),
      failing: token('failing-soft'),
      unknown: ground,
      idle: ground,
    },
    edges: {
      ...looks,
      healthy: colour('color-mix(in oklab, var(--healthy) 62%, var(--s4))'),
      tcp: colour('color-mix(in oklab, var(--tcp) 70%, var(--s4))'),
    },
  };
}
