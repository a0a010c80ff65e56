/** The matrix of who talks to whom: a table, so that it is read cell by cell as well; each cell leads to the requests it counts. */
import type { CellState, Matrix, MatrixAxis, MatrixCell } from '../../marks/matrix.ts';
import { cellKey } from '../../marks/matrix.ts';
import { hrefOf } from '../../store/url.ts';
import { percent } from '../../ui/format.ts';
import { Link } from '../../ui/link.tsx';
import css from './security.module.css';

export const STATE_WORDS: Readonly<Record<CellState, string>> = {
  mtls: 'mutual TLS',
  mixed: 'partly plaintext',
  plaintext: 'plaintext',
  denied: 'denied',
};

/** Filled square, half square, open square, cross: read without colour. Its size is how much was seen. */
export function CellGlyph({ state, weight = 1 }: { state: CellState; weight?: number }) {
  const size = 6 + 10 * weight;
  const at = (20 - size) / 2;
  return (
    <svg className={`${css.glyph} ${css[state]}`} viewBox="0 0 20 20" aria-hidden="true">
      {state === 'denied' ? (
        <path
          d={`M${at},${at}l${size},${size}m0,-${size}l-${size},${size}`}
          stroke="currentColor"
          strokeWidth="2"
          strokeLinecap="round"
        />
      ) : (
        <>
          <rect
            x={at}
            y={at}
            width={size}
            height={size}
            rx="1.5"
            fill={state === 'mtls' ? 'currentColor' : 'none'}
            stroke="currentColor"
            strokeWidth="1.5"
          />
          {state === 'mixed' && (
            <rect x={at} y={at + size / 2} width={size} height={size / 2} fill="currentColor" />
          )}
        </>
      )}
    </svg>
  );
}

export function MatrixTable({ matrix }: { matrix: Matrix }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <section className={css.scroll} tabIndex={0} aria-label="Matrix">
      <table className={css.matrix} aria-label="Who talks to whom, and how">
        <thead>
          <tr>
            <td className={css.corner}>from ↓ to →</td>
            {matrix.targets.map((target) => (
              <th key={target.id} scope="col" className={css.target} title={wordsOf(target)}>
                <span>
                  {target.name} {target.namespace !== '' && <small>{target.namespace}</small>}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {matrix.sources.map((source) => (
            <tr key={source.id}>
              <th scope="row" className={css.source} title={wordsOf(source)}>
                {source.namespace !== '' && <small>{source.namespace}</small>} {source.name}
              </th>
              {matrix.targets.map((target) => (
                <Cell
                  key={target.id}
                  cell={matrix.cells.get(cellKey(source.id, target.id))}
                  source={source}
                  target={target}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const wordsOf = ({ namespace, name }: MatrixAxis) =>
  namespace === '' ? name : `${namespace}/${name}`;

function Cell({
  cell,
  source,
  target,
}: {
  cell: MatrixCell | undefined;
  source: MatrixAxis;
  target: MatrixAxis;
}) {
  if (cell === undefined) return <td className={css.cell} />;
  const words = `${wordsOf(source)} to ${wordsOf(target)}: ${sentence(cell)}`;
  return (
    <td className={css.cell}>
      <Link href={hrefOf('/traffic', trafficQuery(cell))} title={words} aria-label={words}>
        <CellGlyph state={cell.state} weight={cell.weight} />
      </Link>
    </td>
  );
}

function sentence({ state, share, mtls, plaintext, denied }: MatrixCell): string {
  const parts = [
    mtls > 0 ? `${mtls.toLocaleString('en-US')} under mutual TLS` : '',
    plaintext > 0 ? `${plaintext.toLocaleString('en-US')} in plaintext` : '',
    denied > 0 ? `${denied.toLocaleString('en-US')} denied` : '',
  ];
  return `${STATE_WORDS[state]}${state === 'mixed' ? ` (${percent(share)} mutual TLS)` : ''}; ${parts.filter((part) => part !== '').join(', ')}`;
}

function trafficQuery({ source, target, state }: MatrixCell) {
  const workloads = [source, target]
    .map((id) => id.split('/'))
    .filter(([kind, , name]) => kind === 'workload' && name !== undefined)
    .map(([, namespace, name]) => `${namespace}/${name}`);
  return { tab: state === 'denied' ? 'denied' : 'recent', workloads: workloads.at(-1) };
}
