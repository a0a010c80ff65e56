/**
 * The time bar at the foot of every page that shows time: an hour of requests and errors, flags where something changed, a handle to
 * scrub, a brush to choose a span, and the way back to now. All of it only changes the address; pages follow that.
 */
import { Pause, Play } from 'lucide-react';
import { useMemo } from 'react';
import type { TimelineAnswer } from '#console/api/series.ts';
import { address } from '../store/api.ts';
import { useNow } from '../store/clock.ts';
import { useSteadyQuery } from '../store/query.ts';
import { isoSeconds, setAt, setWindow, useScope, WINDOWS } from '../store/scope.ts';
import { Button, IconButton, Segments, Select } from '../ui/controls.tsx';
import { clockTime } from '../ui/format.ts';
import { SPEEDS, usePlayback } from './playback.ts';
import styles from './time-bar.module.css';
import { rangeOf } from './time-scale.ts';
import { Track } from './time-track.tsx';

/** Where playing begins when the bar is live. */
const REPLAY_MS = 300_000;

export function TimeBar() {
  const scope = useScope();
  const nowMs = useNow();
  const atMs = scope.at === undefined ? undefined : new Date(scope.at).getTime();
  const { fromMs, toMs } = rangeOf(nowMs, atMs);
  const range = useMemo(() => ({ fromMs, toMs }), [fromMs, toMs]);
  const timeline = useSteadyQuery<TimelineAnswer>(
    address('timeline', {
      from: isoSeconds(fromMs),
      to: isoSeconds(toMs),
      namespaces: scope.query.namespaces,
    }),
  );
  const playback = usePlayback(atMs);
  const play = () => {
    if (playback.isPlaying) playback.pause();
    else playback.play(atMs ?? nowMs - REPLAY_MS);
  };
  const windows: readonly string[] = WINDOWS;
  const choices = windows.includes(scope.window) ? windows : [...windows, scope.window];
  return (
    <section className={styles.bar} aria-label="Time">
      <div className={styles.controls}>
        <IconButton label={playback.isPlaying ? 'Pause' : 'Play from here'} onClick={play}>
          {playback.isPlaying ? <Pause /> : <Play />}
        </IconButton>
        <span className={styles.wide}>
          <Segments
            label="Speed"
            value={String(playback.speed)}
            options={SPEEDS.map((speed) => ({ value: String(speed), label: `${speed}×` }))}
            onChange={(speed) => playback.setSpeed(Number(speed))}
          />
        </span>
        <Select
          label="Window"
          value={scope.window}
          options={choices.map((value) => ({ value, label: value }))}
          onChange={setWindow}
        />
      </div>
      <Track
        timeline={timeline.data}
        range={range}
        atMs={atMs}
        window={scope.window}
        nowMs={nowMs}
      />
      <div className={styles.state}>
        <span className={styles.moment}>{clockTime(atMs ?? nowMs)}</span>
        <Button
          look={scope.isLive ? 'quiet' : 'plain'}
          isPressed={scope.isLive}
          onClick={() => {
            playback.pause();
            setAt(undefined);
          }}
        >
          <span className={scope.isLive ? styles.dot : styles.off} aria-hidden="true" />
          Live
        </Button>
      </div>
    </section>
  );
}
