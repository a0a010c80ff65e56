/** A modal window on the browser's own dialog: it keeps the focus inside and gives it back. */
import { type ReactNode, useEffect, useRef } from 'react';
import styles from './dialog.module.css';

interface DialogProps {
  readonly label: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly isHigh?: boolean;
}

export function Dialog({ label, onClose, children, isHigh = false }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it by itself; the click is on what is around it.
    <dialog
      ref={dialog}
      aria-label={label}
      className={`${styles.dialog} ${isHigh ? styles.high : ''}`}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div className={styles.inside}>{children}</div>
    </dialog>
  );
}
