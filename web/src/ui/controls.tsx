/** Buttons, choices and fields: 28 px high, one look. */
import type { ButtonHTMLAttributes, InputHTMLAttributes, ReactNode } from 'react';
import styles from './controls.module.css';

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & {
  readonly look?: 'plain' | 'quiet' | 'main' | 'danger';
  readonly isPressed?: boolean;
};

export function Button({ look = 'plain', isPressed, className, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      aria-pressed={isPressed}
      className={`${styles.button} ${styles[look]} ${className ?? ''}`}
      {...rest}
    />
  );
}

/** An icon needs its name. */
export function IconButton({
  label,
  children,
  ...rest
}: Omit<ButtonProps, 'aria-label'> & { label: string }) {
  return (
    <Button look="quiet" aria-label={label} title={label} className={styles.icon} {...rest}>
      {children}
    </Button>
  );
}

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly onChange: (value: T) => void;
}

/** One of a few, all in sight. */
export function Segments<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <fieldset className={styles.segments} aria-label={label}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          className={styles.segment}
          onClick={() => onChange(option.value)}
        >
          {option.label}
        </button>
      ))}
    </fieldset>
  );
}

/** One of several. */
export function Select<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <label className={styles.select}>
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value as T)}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Toggle(props: { label: string; isOn: boolean; onChange: (isOn: boolean) => void }) {
  return (
    <label className={styles.toggle}>
      <input
        type="checkbox"
        checked={props.isOn}
        onChange={(event) => props.onChange(event.target.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}

type FieldProps = InputHTMLAttributes<HTMLInputElement> & {
  readonly label: string;
  readonly problem?: string;
};

/** The label is read, the placeholder shows it. */
export function Field({ label, problem, className, ...rest }: FieldProps) {
  return (
    <span className={`${styles.field} ${className ?? ''}`}>
      <input
        aria-label={label}
        aria-invalid={problem !== undefined}
        placeholder={label}
        {...rest}
      />
      {problem !== undefined && (
        <span role="alert" className={styles.problem}>
          {problem}
        </span>
      )}
    </span>
  );
}

export function Key({ children }: { children: ReactNode }) {
  return <kbd className={styles.key}>{children}</kbd>;
}
