/** What an installation did or would do, as data: the command prints it. */
import type { Outcome } from './apply.ts';

export interface ObjectReport {
  readonly object: string;
  readonly outcome: Outcome | 'left' | 'deleted';
  readonly changes?: readonly string[];
  readonly why?: string;
}

export interface InstallReport {
  readonly version: string;
  /** The version that was there. */
  readonly previousVersion?: string;
  readonly kubernetes: string;
  readonly platform?: string;
  readonly namespace: string;
  readonly revision: string;
  readonly dryRun: boolean;
  readonly ready: boolean;
  readonly objects: readonly ObjectReport[];
  readonly warnings: readonly string[];
  readonly elapsedMs: number;
}
