/** Health as a mark: shape and word besides colour, the reason on hover and for screen readers. */
import type { Health, HealthStatus } from '#console/api/health.ts';
import styles from './health.module.css';

export const HEALTH_WORDS: Readonly<Record<HealthStatus, string>> = {
  healthy: 'Healthy',
  degraded: 'Degraded',
  failing: 'Failing',
  unknown: 'Unknown',
  idle: 'Idle',
};

/** 12 by 12: filled disc, triangle, crossed square, ring, dash. */
const SHAPES: Readonly<Record<HealthStatus, React.ReactNode>> = {
  healthy: <circle cx="6" cy="6" r="4" fill="currentColor" />,
  degraded: <path d="M6 1.5 11 10.5H1Z" fill="currentColor" />,
  failing: (
    <>
      <rect x="1.5" y="1.5" width="9" height="9" rx="1.5" fill="currentColor" />
      <path d="m4 4 4 4m0-4-4 4" stroke="var(--s1)" strokeWidth="1.4" strokeLinecap="round" />
    </>
  ),
  unknown: <circle cx="6" cy="6" r="3.6" fill="none" stroke="currentColor" strokeWidth="1.6" />,
  idle: <path d="M2.5 6h7" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" />,
};

export function HealthGlyph({ status }: { status: HealthStatus }) {
  return (
    <svg className={`${styles.glyph} ${styles[status]}`} viewBox="0 0 12 12" aria-hidden="true">
      {SHAPES[status]}
    </svg>
  );
}

/** Glyph, and word unless it is left out; then the word is still read. */
export function HealthMark({ health, isShort = false }: { health: Health; isShort?: boolean }) {
  const word = HEALTH_WORDS[health.status];
  return (
    <span className={styles.mark} title={health.reason}>
      <HealthGlyph status={health.status} />
      <span className={isShort ? styles.hidden : styles[health.status]}>{word}</span>
    </span>
  );
}
