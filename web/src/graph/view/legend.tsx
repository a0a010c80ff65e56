/** What the signs mean, drawn by the same hand as the graph. */
import { useEffect, useRef } from 'react';
import type { Badge } from '#console/api/graph.ts';
import { useIsDark } from '../../store/theme.ts';
import { HEALTH_WORDS, HealthGlyph } from '../../ui/health.tsx';
import { BADGE_WORDS, drawBadge, drawDifference, drawLock } from '../draw/glyphs.ts';
import { type DrawTheme, readTheme } from '../draw/theme.ts';
import { DIFFERENCE_WORDS } from '../scene/compare.ts';
import type { Difference } from '../scene/marks.ts';
import styles from './legend.module.css';

const STATES = ['healthy', 'degraded', 'failing', 'unknown', 'idle'] as const;
const EDGES = [
  ['healthy', 'healthy; wider is more', ''],
  ['tcp', 'TCP', ''],
  ['degraded', 'degraded', '9 4'],
  ['failing', 'failing', ''],
  ['unknown', 'too little to judge', '3 4'],
] as const;

export function Legend() {
  return (
    <aside className={styles.legend} aria-label="Legend">
      <ul>
        {STATES.map((status) => (
          <li key={status}>
            <HealthGlyph status={status} />
            {HEALTH_WORDS[status]}
          </li>
        ))}
      </ul>
      <ul>
        {EDGES.map(([look, words, dash]) => (
          <li key={look}>
            <svg viewBox="0 0 28 12" className={styles.line} aria-hidden="true">
              <path d="M1 6h26" className={styles[look]} strokeDasharray={dash} />
              {look === 'failing' && <path d="m11 3 6 6m0-6-6 6" className={styles.cross} />}
            </svg>
            {words}
          </li>
        ))}
      </ul>
      <ul>
        {(['closed', 'half', 'open'] as const).map((lock) => (
          <li key={lock}>
            <Sign
              draw={(pen, theme) =>
                drawLock(pen, lock, {
                  x: 0,
                  y: 0,
                  colour: lock === 'closed' ? theme.quiet : theme.looks.degraded,
                  ground: theme.ground,
                })
              }
            />
            {{ closed: 'All mutual TLS', half: 'Some plaintext', open: 'Plaintext' }[lock]}
          </li>
        ))}
      </ul>
      <ul>
        {(Object.entries(BADGE_WORDS) as [Badge, string][]).map(([badge, words]) => (
          <li key={badge}>
            <Sign
              draw={(pen, theme) =>
                drawBadge(pen, badge, { x: 0, y: 0, colour: theme.quiet, ground: theme.ground })
              }
            />
            {words}
          </li>
        ))}
      </ul>
      <ul>
        {(Object.entries(DIFFERENCE_WORDS) as [Difference, string][]).map(([change, words]) => (
          <li key={change}>
            <Sign
              draw={(pen, theme) => {
                pen.scale(0.75, 0.75);
                drawDifference(pen, change, { x: 8, y: 8, theme });
              }}
            />
            {words}
          </li>
        ))}
      </ul>
      <p>
        The ring around a node: shares of 2xx, 3xx, 4xx, 5xx and unanswered. Hollow dots: ejected
        endpoints. Two posts on an edge: its waypoint.
      </p>
    </aside>
  );
}

const SCALE = 2;

function Sign({ draw }: { draw: (pen: CanvasRenderingContext2D, theme: DrawTheme) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDark = useIsDark();
  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read anew when the theme changes.
  useEffect(() => {
    const pen = canvas.current!.getContext('2d')!;
    pen.setTransform(SCALE, 0, 0, SCALE, 0, 0);
    pen.clearRect(0, 0, 12, 12);
    draw(pen, readTheme(canvas.current!));
  }, [isDark]);
  return <canvas ref={canvas} width={12 * SCALE} height={12 * SCALE} className={styles.sign} />;
}
