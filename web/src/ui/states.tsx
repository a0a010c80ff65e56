/** What a page shows when there is nothing, not yet, or no longer: never a blank. */
import type { ReactNode } from 'react';
import type { Diagnosis } from '#console/api/graph.ts';
import type { ApiError } from '../store/api.ts';
import { useNow } from '../store/clock.ts';
import type { Query } from '../store/query.ts';
import { CommandLine } from './code.tsx';
import { Button } from './controls.tsx';
import { span } from './format.ts';
import styles from './states.module.css';

/** Past this age what is shown live is called stale. */
const STALE_SECONDS = 10;
const NOT_FOUND = 404;

interface EmptyProps {
  readonly title: string;
  /** Not what the reader came for: said at once where a screen is read aloud. */
  readonly isAlert?: boolean;
  readonly children?: ReactNode;
}

export function Empty({ title, isAlert, children }: EmptyProps) {
  return (
    <div className={styles.empty} role={isAlert ? 'alert' : undefined}>
      <p className={styles.title}>{title}</p>
      {children}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div className={styles.loading} role="status">
      <span className={styles.bar} aria-hidden="true" />
      Loading {what}
    </div>
  );
}

export function Failure({ error, onRetry }: { error: ApiError; onRetry?: () => void }) {
  return (
    <div className={styles.failure} role="alert">
      <p className={styles.title}>{error.message}</p>
      {error.hint !== '' && <p>{error.hint}</p>}
      {onRetry !== undefined && <Button onClick={onRetry}>Try again</Button>}
    </div>
  );
}

/** A line above what is shown, when it is old: how old, and why. */
export function StaleNote({
  query,
  ageSeconds,
  isLive = true,
}: {
  query: Query<unknown>;
  ageSeconds?: number;
  isLive?: boolean;
}) {
  const nowMs = useNow();
  if (query.data === undefined || !isLive) return null;
  if (query.error !== undefined) {
    return (
      <p role="status" className={styles.stale}>
        {query.error.message}. What you see is {span((nowMs - query.fetchedAt) / 1000)} old.
      </p>
    );
  }
  if (ageSeconds === undefined || ageSeconds < STALE_SECONDS) return null;
  return (
    <p role="status" className={styles.stale}>
      No proxy has reported for {span(ageSeconds)}. What you see is that old.
    </p>
  );
}

/** The four states of an answer in one: not yet, failed, and there, with its age. */
export function Answered<T>(props: {
  query: Query<T>;
  what: string;
  /** In place of the API's words, where what the page is about is not there. */
  missing?: ReactNode;
  children: (data: T) => ReactNode;
}) {
  const { query, what, missing, children } = props;
  if (query.data === undefined) {
    if (query.error?.status === NOT_FOUND && missing !== undefined) return missing;
    if (query.error !== undefined) return <Failure error={query.error} onRetry={query.reload} />;
    return <Loading what={what} />;
  }
  return (
    <>
      <StaleNote query={query} />
      {children(query.data)}
    </>
  );
}

const STEP_WORDS = { yes: 'Yes', no: 'No', unknown: 'Not known' } as const;

/** Why there is nothing: the links of the chain, the first broken one with the command that mends it. */
export function DiagnosisList({ diagnosis }: { diagnosis: Diagnosis }) {
  const broken = diagnosis.steps.findIndex((step) => step.state === 'no');
  return (
    <section className={styles.diagnosis} aria-label="Why nothing is shown">
      <p className={styles.title}>{diagnosis.summary}</p>
      <ol>
        {diagnosis.steps.map((step, at) => (
          <li key={step.question} className={at === broken ? styles.broken : undefined}>
            <span className={`${styles.answer} ${styles[step.state]}`}>
              {STEP_WORDS[step.state]}
            </span>
            <div>
              <p>{step.question}</p>
              <p className={styles.detail}>{step.detail}</p>
              {at === broken && step.command !== undefined && <CommandLine text={step.command} />}
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
