/** Small things that stand in rows of every page: a name with its health, a rate, a share of errors, a lock, an age. */
import { Lock, LockKeyhole, LockOpen } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Traffic } from '#console/api/graph.ts';
import type { Health } from '#console/api/health.ts';
import { useNow } from '../../store/clock.ts';
import { absolute, connectionRate, percent, rate, relative } from '../../ui/format.ts';
import { HEALTH_WORDS, HealthGlyph } from '../../ui/health.tsx';
import css from './cells.module.css';

export function Named({ health, children }: { health: Health; children: ReactNode }) {
  return (
    <span className={css.named} title={health.reason}>
      <HealthGlyph status={health.status} />
      <span className={css.hidden}>{HEALTH_WORDS[health.status]}: </span>
      <span>{children}</span>
    </span>
  );
}

export const Dash = () => <span className={css.none}>–</span>;
export const Dim = ({ children }: { children: ReactNode }) => (
  <span className={css.dim}>{children}</span>
);

/** Requests, or connections where there are only bytes. */
export function TrafficRate({
  traffic,
}: {
  traffic: Pick<Traffic, 'requestsPerSecond' | 'connectionsPerSecond'>;
}) {
  if (traffic.requestsPerSecond > 0) return <>{rate(traffic.requestsPerSecond)}</>;
  if (traffic.connectionsPerSecond > 0)
    return <span className={css.tcp}>{connectionRate(traffic.connectionsPerSecond)}</span>;
  return <Dash />;
}

/** Its colour is that of the health: a few errors among few requests are no state. */
export function ErrorShare({
  share,
  health,
  isIdle,
}: {
  share: number;
  health: Health;
  isIdle: boolean;
}) {
  if (isIdle) return <Dash />;
  const look = { failing: css.bad, degraded: css.watch }[health.status as 'failing'];
  return <span className={share > 0 ? look : undefined}>{percent(share)}</span>;
}

export const isIdle = (traffic: Traffic) =>
  traffic.requestsPerSecond === 0 && traffic.connectionsPerSecond === 0;

/** Share under mutual TLS: closed, half or open, and the share unless it is all. */
export function MtlsLock({
  share,
  isShort = false,
}: {
  share: number | undefined;
  isShort?: boolean;
}) {
  if (share === undefined) return <Dash />;
  const [look, Icon, word] =
    share === 1
      ? [css.closed, Lock, 'All under mutual TLS']
      : share === 0
        ? [css.open, LockOpen, 'Plaintext']
        : [css.half, LockKeyhole, `${percent(share)} under mutual TLS`];
  return (
    <span className={`${css.lock} ${look}`} title={word}>
      <Icon aria-hidden="true" />
      {isShort && share === 1 ? <span className={css.hidden}>{word}</span> : percent(share)}
    </span>
  );
}

export function Age({ at }: { at: string | number }) {
  const nowMs = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={absolute(at)}>
      {relative(at, nowMs)}
    </time>
  );
}

export function Ready({ ready, desired }: { ready: number; desired: number }) {
  return (
    <span
      className={ready === 0 && desired > 0 ? css.bad : ready < desired ? css.watch : undefined}
    >{`${ready}/${desired}`}</span>
  );
}

export function Meter({
  share,
  state,
  children,
}: {
  share: number;
  state?: string;
  children: ReactNode;
}) {
  return (
    <span className={css.meter}>
      <i aria-hidden="true">
        <b data-state={state} style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} />
      </i>
      {children}
    </span>
  );
}

export function Enforced({
  enforced,
}: {
  enforced: { readonly by: number; readonly of: number } | undefined;
}) {
  if (enforced === undefined) return <Dash />;
  return (
    <span
      className={enforced.by < enforced.of ? css.watch : undefined}
    >{`${enforced.by}/${enforced.of}`}</span>
  );
}
