/** What is shown of the graph, and how: type, label, find, hide, display, saved views, comparison, exports. */
import { Crosshair, LayoutGrid, Maximize, SlidersHorizontal, Table2, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { GraphType } from '#console/api/graph.ts';
import { setQuery } from '../../store/url.ts';
import { Button, Field, IconButton, Select, Toggle } from '../../ui/controls.tsx';
import { type ExportChoice, ExportMenu } from '../../ui/export.tsx';
import { Popover } from '../../ui/popover.tsx';
import { LABELS, type LabelKind } from '../scene/edge-marks.ts';
import { CompareMenu } from './compare-menu.tsx';
import { flag, setFocus } from './options.ts';
import { type GraphViewOptions, TYPES } from './options-of.ts';
import { SavedViews } from './saved-views.tsx';
import styles from './toolbar.module.css';

export interface ToolbarProps {
  readonly options: GraphViewOptions;
  readonly findProblem: string | undefined;
  readonly hideProblem: string | undefined;
  /** Of what is asked, how many were found. */
  readonly foundCount: number | undefined;
  readonly exports: readonly ExportChoice[];
  readonly onFit: () => void;
  readonly onTidy: () => void;
}

const choices = <T extends string>(words: Readonly<Record<T, string>>) =>
  (Object.entries(words) as [T, string][]).map(([value, label]) => ({ value, label }));

export function Toolbar(props: ToolbarProps) {
  const { options } = props;
  return (
    <div className={styles.bar} role="toolbar" aria-label="Graph">
      <Select<GraphType>
        label="Show"
        value={options.type}
        options={choices(TYPES)}
        onChange={(type) =>
          setQuery({
            type: type === 'workload' ? undefined : type,
            node: undefined,
            focus: undefined,
          })
        }
      />
      <Select<LabelKind>
        label="Label"
        value={options.label}
        options={choices(LABELS)}
        onChange={(label) => setQuery({ label: label === 'rate' ? undefined : label })}
      />
      <Asked
        name="find"
        label="Find"
        value={options.find}
        problem={props.findProblem}
        note={props.foundCount === undefined ? undefined : `${props.foundCount} found`}
      />
      <Asked name="hide" label="Hide" value={options.hide} problem={props.hideProblem} />
      {options.focus !== undefined && (
        <Button isPressed onClick={() => setFocus(undefined)}>
          <Crosshair aria-hidden="true" />
          {options.focus.split('/').pop()}
          <X aria-hidden="true" />
          <span className={styles.said}>: leave its neighbourhood</span>
        </Button>
      )}
      <span className={styles.right}>
        <Display options={options} />
        <CompareMenu options={options} />
        <SavedViews />
        <IconButton label="Fit (0)" onClick={props.onFit}>
          <Maximize />
        </IconButton>
        <span className={styles.wide}>
          <IconButton label="Lay out anew" onClick={props.onTidy}>
            <LayoutGrid />
          </IconButton>
        </span>
        <IconButton
          label="Table"
          isPressed={options.isTable}
          onClick={() => setQuery({ table: flag(!options.isTable) })}
        >
          <Table2 />
        </IconButton>
        <ExportMenu name="tulle-graph" choices={props.exports} />
      </span>
    </div>
  );
}

/** An expression: it holds once typing rests, and says what is wrong with it. */
function Asked(props: {
  name: 'find' | 'hide';
  label: string;
  value: string;
  problem?: string;
  note?: string;
}) {
  const { name, value } = props;
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => setQuery({ [name]: text }, { replace: true }), REST_MS);
    return () => clearTimeout(timer);
  }, [name, text, value]);
  return (
    <span className={styles.asked}>
      <Field
        label={props.label}
        title={HINTS[name]}
        value={text}
        onChange={(event) => setText(event.target.value)}
        problem={props.problem}
        spellCheck={false}
      />
      {props.note !== undefined && props.problem === undefined && (
        <span className={styles.note}>{props.note}</span>
      )}
    </span>
  );
}

const REST_MS = 250;
const HINTS = {
  find: 'Marks what matches: failing, http.errors > 1%, mtls < 100%, namespace = shop and version ~ v2',
  hide: 'Leaves out what matches: idle, healthy, rate < 1, label:team = search',
} as const;

function Display({ options }: { options: GraphViewOptions }) {
  const toggles = [
    ['Traffic in motion', options.isAnimated, (isOn: boolean) => setQuery({ still: flag(!isOn) })],
    ['Idle nodes and edges', options.hasIdle, (isOn: boolean) => setQuery({ idle: flag(isOn) })],
    [
      'Waypoints as nodes',
      options.hasWaypoints,
      (isOn: boolean) => setQuery({ waypoints: flag(isOn) }),
    ],
    ['Legend', options.hasLegend, (isOn: boolean) => setQuery({ legend: flag(isOn) })],
  ] as const;
  return (
    <Popover
      label="Display"
      look="quiet"
      align="end"
      button={<SlidersHorizontal aria-hidden="true" />}
    >
      {() => (
        <div className={styles.menu}>
          {toggles.map(([label, isOn, change]) => (
            <Toggle key={label} label={label} isOn={isOn} onChange={change} />
          ))}
        </div>
      )}
    </Popover>
  );
}
