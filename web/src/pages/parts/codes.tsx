/** Answers by status code, and by what the mesh says of those that went wrong. */
import { counted } from '../../ui/format.ts';
import css from './lists.module.css';

export interface CodesProps {
  readonly codes: Readonly<Record<string, number>>;
  readonly flags: Readonly<Record<string, number>>;
}

/** Response flags as Envoy and Istio name them. */
const FLAG_WORDS: Readonly<Record<string, string>> = {
  UF: 'could not connect',
  UH: 'no healthy endpoint',
  UO: 'circuit open or overflow',
  UT: 'timed out',
  UC: 'the connection broke',
  UR: 'reset by the endpoint',
  URX: 'retries used up',
  NR: 'no route',
  DC: 'the client went away',
  RL: 'rate limited',
  UAEX: 'denied by policy',
  FI: 'fault injected',
  DI: 'delay injected',
  DPE: 'bad request from the client',
  UPE: 'bad answer from the endpoint',
};

export function Codes({ codes, flags }: CodesProps) {
  const counts = Object.entries(codes)
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => a.localeCompare(b));
  const flagCounts = Object.entries(flags)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a);
  if (counts.length === 0) return <p className={css.nothing}>No request in this span.</p>;
  return (
    <div className={css.codes}>
      <h3>Answers</h3>
      <div className={css.bar} aria-hidden="true">
        {counts.map(([code, count]) => (
          <i key={code} data-class={code[0]} style={{ flexGrow: count }} />
        ))}
      </div>
      <ul className={css.codeList}>
        {counts.map(([code, count]) => (
          <li key={code}>
            <b>{code === '0' ? 'no answer' : code}</b> {count.toLocaleString('en-US')}
          </li>
        ))}
      </ul>
      {flagCounts.length > 0 && (
        <ul className={css.codeList}>
          {flagCounts.map(([flag, count]) => (
            <li key={flag}>
              <b>{flag}</b> {FLAG_WORDS[flag] ?? ''} {counted(count, 'time')}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
