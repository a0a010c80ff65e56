/** What opens under a button: closes on Escape, on a click elsewhere, and gives the focus back. */
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { Button } from './controls.tsx';
import styles from './popover.module.css';

interface PopoverProps {
  /** What the button shows. */
  readonly button: ReactNode;
  readonly label: string;
  readonly look?: 'plain' | 'quiet';
  readonly align?: 'start' | 'end';
  readonly side?: 'below' | 'above';
  readonly children: (close: () => void) => ReactNode;
}

export function Popover({
  button,
  label,
  look = 'plain',
  align = 'start',
  side = 'below',
  children,
}: PopoverProps) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (!isOpen) return;
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const onEscape = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      setOpen(false);
      root.current?.querySelector('button')?.focus();
    };
    addEventListener('pointerdown', outside);
    addEventListener('keydown', onEscape, true);
    return () => {
      removeEventListener('pointerdown', outside);
      removeEventListener('keydown', onEscape, true);
    };
  }, [isOpen]);
  return (
    <div className={styles.root} ref={root}>
      <Button
        look={look}
        aria-label={label}
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        title={label}
        onClick={() => setOpen(!isOpen)}
      >
        {button}
      </Button>
      {isOpen && (
        <div
          id={id}
          role="dialog"
          aria-label={label}
          className={`${styles.box} ${styles[align]} ${styles[side]}`}
        >
          {children(() => setOpen(false))}
        </div>
      )}
    </div>
  );
}

export function MenuItem(props: { onClick: () => void; children: ReactNode }) {
  return (
    <button type="button" className={styles.item} onClick={props.onClick}>
      {props.children}
    </button>
  );
}
