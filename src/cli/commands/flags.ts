/** Flags that many commands share. */
import { Option } from 'commander';

/** The first is the default. */
export const output = (...choices: string[]) =>
  new Option('-o, --output <format>', choices.join(', ')).choices(choices).default(choices[0]);

/** Gathers the values of a flag that may be given again. */
export const collect = (value: string, before: readonly string[] = []): string[] => [
  ...before,
  value,
];
