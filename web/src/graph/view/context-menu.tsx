/** The menu of a node or an edge: where it was pressed, with its first choice focused. Escape, Tab and a press elsewhere close it, and the graph has the focus again. */
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { hrefOf } from '../../store/url.ts';
import { Link } from '../../ui/link.tsx';
import styles from './context-menu.module.css';
import type { MenuChoice } from './menu-items.ts';
import { select, setFocus } from './options.ts';

/** Pixels of the graph's box. */
export interface MenuPlace {
  readonly id: string;
  readonly x: number;
  readonly y: number;
}

interface ContextMenuProps {
  readonly label: string;
  readonly place: MenuPlace;
  readonly choices: readonly MenuChoice[];
  /** The focus goes back to where it came from, unless it went somewhere else already. */
  readonly onClose: (isDone: boolean) => void;
}

const STEPS: Readonly<Record<string, (at: number, count: number) => number>> = {
  ArrowDown: (at, count) => (at + 1) % count,
  ArrowUp: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

export function ContextMenu({ label, place, choices, onClose }: ContextMenuProps) {
  const box = useRef<HTMLDivElement>(null);
  const [shift, setShift] = useState({ x: 0, y: 0 });
  const items = () => [...(box.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
  useLayoutEffect(() => {
    const own = box.current!;
    const around = own.parentElement!;
    setShift({
      x: Math.min(0, around.clientWidth - place.x - own.offsetWidth),
      y: Math.min(0, around.clientHeight - place.y - own.offsetHeight),
    });
    own.querySelector<HTMLElement>('[role=menuitem]')?.focus();
  }, [place]);
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const outside = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) close.current(false);
    };
    // What it is of moves away under it.
    const moved = () => close.current(false);
    addEventListener('pointerdown', outside);
    addEventListener('wheel', moved);
    return () => {
      removeEventListener('pointerdown', outside);
      removeEventListener('wheel', moved);
    };
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    const all = items();
    const step = STEPS[event.key];
    if (step !== undefined)
      all[step(all.indexOf(event.target as HTMLElement), all.length)]?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') onClose(true);
    else return;
    event.preventDefault();
  };
  const act = (choice: Extract<MenuChoice, { act: string }>) => {
    onClose(true);
    if (choice.act === 'select') select([choice.id]);
    else if (choice.act === 'focus') setFocus(choice.id);
    else void navigator.clipboard.writeText(choice.id);
  };
  return (
    <div
      ref={box}
      role="menu"
      tabIndex={-1}
      aria-label={label}
      className={styles.menu}
      style={{ left: Math.max(0, place.x + shift.x), top: Math.max(0, place.y + shift.y) }}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => event.preventDefault()}
    >
      {choices.map((choice) =>
        'act' in choice ? (
          <button
            key={choice.title}
            type="button"
            role="menuitem"
            tabIndex={-1}
            onClick={() => act(choice)}
          >
            {choice.title}
          </button>
        ) : (
          <Link
            key={choice.title}
            role="menuitem"
            tabIndex={-1}
            href={hrefOf(choice.path, choice.query)}
          >
            {choice.title}
          </Link>
        ),
      )}
    </div>
  );
}
