/** Another moment to compare with: what came, what went, what got worse or better since. */
import { GitCompareArrows } from 'lucide-react';
import { now } from '../../store/clock.ts';
import { isoSeconds, useScope } from '../../store/scope.ts';
import { setQuery } from '../../store/url.ts';
import { Button } from '../../ui/controls.tsx';
import { clockTime } from '../../ui/format.ts';
import { MenuItem, Popover } from '../../ui/popover.tsx';
import type { GraphViewOptions } from './options-of.ts';

const AGO = [
  ['5 minutes before', 300],
  ['15 minutes before', 900],
  ['an hour before', 3600],
  ['a day before', 86_400],
] as const;

export function CompareMenu({ options }: { options: GraphViewOptions }) {
  const { at } = useScope();
  if (options.compare !== undefined) {
    return (
      <Button isPressed onClick={() => setQuery({ compare: undefined })}>
        <GitCompareArrows aria-hidden="true" />
        since {clockTime(options.compare)}
      </Button>
    );
  }
  const before = (seconds: number) =>
    isoSeconds((at === undefined ? now() : Date.parse(at)) - seconds * 1000);
  return (
    <Popover
      label="Compare with"
      look="quiet"
      align="end"
      button={<GitCompareArrows aria-hidden="true" />}
    >
      {(close) =>
        AGO.map(([word, seconds]) => (
          <MenuItem
            key={seconds}
            onClick={() => {
              close();
              setQuery({ compare: before(seconds) });
            }}
          >
            {word}
          </MenuItem>
        ))
      }
    </Popover>
  );
}
