/** What `tulle doctor` has to say about a machine or a cluster, as it stands in its JSON. */

export interface Finding {
  readonly check: string;
  /** `error`: it cannot run. `warning`: it can, with less, or until something happens. */
  readonly level: 'ok' | 'warning' | 'error';
  readonly message: string;
  /** What to do about it; always there when the level is not ok. */
  readonly remedy?: string;
}

export interface Diagnosis {
  /** The lab on this machine, or Tulle on that cluster. */
  readonly canRun: boolean;
  readonly findings: readonly Finding[];
}

export function diagnosis(findings: readonly Finding[]): Diagnosis {
  return { canRun: findings.every(({ level }) => level !== 'error'), findings };
}

export const fine = (check: string, message: string): Finding => ({ check, level: 'ok', message });

export const wrong = (
  check: string,
  level: 'warning' | 'error',
  { message, remedy }: { message: string; remedy: string },
): Finding => ({ check, level, message, remedy });
