/** Bars of a trace as rows: a click opens a span, its caret folds what is below; arrow keys move and fold as in a tree. */
import { ChevronDown, ChevronRight } from 'lucide-react';
import { type KeyboardEvent, useRef } from 'react';
import { niceValues } from '../../marks/scale.ts';
import type { WaterfallBar } from '../../marks/waterfall.ts';
import { millis } from '../../ui/format.ts';
import css from './trace.module.css';

export interface WaterfallProps {
  readonly bars: readonly WaterfallBar[];
  readonly totalMs: number;
  readonly openId: string | undefined;
  readonly onFold: (spanId: string) => void;
  readonly onOpen: (spanId: string) => void;
}

export function Waterfall({ bars, totalMs, openId, onFold, onOpen }: WaterfallProps) {
  const box = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent) => {
    const rows = [...(box.current?.querySelectorAll<HTMLElement>('[role="treeitem"]') ?? [])];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    const bar = bars[at];
    if (bar === undefined) return;
    const { key } = event;
    if (key === 'ArrowDown') rows[at + 1]?.focus();
    else if (key === 'ArrowUp') rows[at - 1]?.focus();
    else if (key === 'Enter' || key === ' ') onOpen(bar.span.spanId);
    else if (
      (key === 'ArrowLeft' && !bar.isFolded && bar.children > 0) ||
      (key === 'ArrowRight' && bar.isFolded)
    )
      onFold(bar.span.spanId);
    else return;
    event.preventDefault();
  };
  return (
    <div className={css.waterfall}>
      <Ruler totalMs={totalMs} />
      <div ref={box} role="tree" aria-label="Spans" onKeyDown={move}>
        {bars.map((bar, index) => (
          <Row
            key={bar.span.spanId}
            bar={bar}
            isFirst={index === 0}
            isOpen={bar.span.spanId === openId}
            onFold={onFold}
            onOpen={onOpen}
          />
        ))}
      </div>
    </div>
  );
}

function Ruler({ totalMs }: { totalMs: number }) {
  return (
    <div className={css.ruler} aria-hidden="true">
      <span>Service and span</span>
      <div className={css.ticks}>
        {niceValues(totalMs)
          .filter((value) => value <= totalMs)
          .map((value) => (
            <span key={value} style={{ left: `${(value / totalMs) * 100}%` }}>
              {value === 0 ? '0' : millis(value)}
            </span>
          ))}
      </div>
    </div>
  );
}

interface RowProps {
  readonly bar: WaterfallBar;
  readonly isFirst: boolean;
  readonly isOpen: boolean;
  readonly onFold: (spanId: string) => void;
  readonly onOpen: (spanId: string) => void;
}

const INDENT = 14;

function Row({ bar, isFirst, isOpen, onFold, onOpen }: RowProps) {
  const { span, left, width, isFolded, children, isCritical } = bar;
  const Caret = isFolded ? ChevronRight : ChevronDown;
  const place = { left: `${left * 100}%`, width: `${width * 100}%` };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: keys are taken by the tree.
    <div
      className={css.row}
      role="treeitem"
      tabIndex={isOpen || isFirst ? 0 : -1}
      aria-level={span.depth + 1}
      aria-selected={isOpen}
      aria-expanded={children === 0 ? undefined : !isFolded}
      onClick={() => onOpen(span.spanId)}
    >
      <div className={css.name} style={{ paddingLeft: span.depth * INDENT }}>
        <span
          className={css.fold}
          aria-hidden="true"
          onClick={(event) => {
            event.stopPropagation();
            if (children > 0) onFold(span.spanId);
          }}
        >
          {children > 0 && <Caret />}
        </span>
        <span className={span.status === 'error' ? css.failed : undefined}>
          {span.status === 'error' && <span aria-hidden="true">✕ </span>}
          {span.service} <small>{span.name}</small>
        </span>
      </div>
      <div className={css.lane}>
        <div
          className={`${css.bar} ${span.isMesh ? css.mesh : css.application} ${span.status === 'error' ? css.error : ''}`}
          style={place}
        />
        {isCritical && <div className={css.critical} style={place} />}
        <span className={css.took} style={{ left: `calc(${(left + width) * 100}% + 6px)` }}>
          {millis(span.durationMs)}
          <span className={css.hidden}>
            {span.isMesh && ', hop of the mesh'}
            {span.status === 'error' && ', failed'}
          </span>
        </span>
      </div>
    </div>
  );
}
