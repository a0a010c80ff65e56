/** A short word about something: version, namespace, badge. Colour only when it is a state. */
import type { ReactNode } from 'react';
import styles from './chip.module.css';

export type ChipState = 'healthy' | 'degraded' | 'failing' | 'tcp';

export function Chip({
  children,
  state,
  title,
}: {
  children: ReactNode;
  state?: ChipState;
  title?: string;
}) {
  return (
    <span className={`${styles.chip} ${state === undefined ? '' : styles[state]}`} title={title}>
      {children}
    </span>
  );
}

export function Chips({ words }: { words: readonly string[] }) {
  return (
    <span className={styles.chips}>
      {words.map((word) => (
        <Chip key={word}>{word}</Chip>
      ))}
    </span>
  );
}
