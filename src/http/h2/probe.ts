/** Finds out whether a fresh connection's peer speaks HTTP/2 with prior knowledge (`h2UpgradePolicy: UPGRADE`). */
import type { Clock } from '#base/clock.ts';
import type { Connection } from '#net/connection.ts';
import type { H2Options } from './connection.ts';
import type { H2ClientConnection } from './client.ts';

export interface ProbeOutcome {
  /** The peer answered SETTINGS: an HTTP/2 client on the very connection. */
  onH2(client: InstanceType<typeof H2ClientConnection>): void;
  /** It did not (in time): the connection was closed; dial again and speak HTTP/1.1. */
  onH1(): void;
}
export declare function probeH2(
  connection: Connection,
  deps: { clock: Clock },
  options: { timeoutMs: number; h2?: Partial<H2Options> },
  outcome: ProbeOutcome,
): void;
