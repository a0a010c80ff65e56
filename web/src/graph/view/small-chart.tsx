/** A chart as wide as the side panel: one line with its last value, gaps where nobody reported. */
import styles from './small-chart.module.css';

export interface SmallChartProps {
  readonly title: string;
  readonly values: readonly (number | null)[];
  readonly format: (value: number) => string;
  /** Beside the first one, thinner. */
  readonly others?: readonly (readonly (number | null)[])[];
  readonly isFailing?: boolean;
}

const WIDTH = 300;
const HEIGHT = 44;

export function SmallChart({
  title,
  values,
  format,
  others = [],
  isFailing = false,
}: SmallChartProps) {
  const all = [values, ...others].flat().filter((value) => value !== null);
  const top = Math.max(...all, Number.MIN_VALUE);
  const last = values.findLast((value) => value !== null);
  return (
    <figure className={styles.chart}>
      <figcaption>
        <span>{title}</span>
        <span>
          {all.length > 0 && <small>highest {format(top)} </small>}
          {last == null ? 'no data' : format(last)}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: highest ${format(all.length === 0 ? 0 : top)}`}
      >
        {others.map((line, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have an order and nothing else.
          <path key={at} d={linePath(line, top)} className={styles.other} />
        ))}
        <path d={linePath(values, top)} className={isFailing ? styles.failing : styles.line} />
      </svg>
    </figure>
  );
}

function linePath(values: readonly (number | null)[], top: number): string {
  let path = '';
  let isOpen = false;
  values.forEach((value, at) => {
    if (value === null) {
      isOpen = false;
      return;
    }
    const x = ((at / Math.max(1, values.length - 1)) * WIDTH).toFixed(1);
    const y = (HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1);
    path += `${isOpen ? 'L' : 'M'}${x} ${y}`;
    isOpen = true;
  });
  return path;
}
