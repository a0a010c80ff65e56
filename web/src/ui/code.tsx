/** Text for a terminal or a file, with a button that copies it. */
import { Check, Copy } from 'lucide-react';
import { useState } from 'react';
import styles from './code.module.css';
import { IconButton } from './controls.tsx';

const COPIED_MS = 1500;

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <IconButton label={isCopied ? 'Copied' : label} onClick={() => void copy()}>
      {isCopied ? <Check /> : <Copy />}
    </IconButton>
  );
}

export function CommandLine({ text }: { text: string }) {
  return (
    <div className={styles.command}>
      <code>{text}</code>
      <CopyButton text={text} label="Copy the command" />
    </div>
  );
}

interface CodeViewProps {
  readonly text: string;
  readonly label: string;
  /** From 1: lines to point at, each with what it says. */
  readonly notes?: Readonly<
    Record<number, { readonly level: 'info' | 'warning' | 'error'; readonly text: string }>
  >;
}

export function CodeView({ text, label, notes = {} }: CodeViewProps) {
  const lines = text.replace(/\n$/, '').split('\n');
  return (
    <section className={styles.view} aria-label={label}>
      <div className={styles.copy}>
        <CopyButton text={text} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <ol className={styles.lines} tabIndex={0}>
        {lines.map((line, at) => {
          const note = notes[at + 1];
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number.
            <li key={at} className={note === undefined ? undefined : styles[note.level]}>
              <code>{line === '' ? ' ' : line}</code>
              {note !== undefined && <span className={styles.note}>{note.text}</span>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
