/** A sparkline in a row or a field. What it says in words stands beside it; to a screen reader it is left out. */
import { sparkline } from '../marks/spark.ts';
import css from './chart.module.css';

export interface SparkLineProps {
  readonly values: readonly (number | null)[];
  readonly width: number;
  readonly height: number;
  readonly max?: number;
}

export function SparkLine(props: SparkLineProps) {
  const { line, area, end } = sparkline({ ...props, width: props.width - 3 });
  return (
    <svg className={css.spark} width={props.width} height={props.height} aria-hidden="true">
      <path d={area} />
      <path d={line} />
      {end !== undefined && <circle cx={end.x} cy={end.y} r="2" />}
    </svg>
  );
}
