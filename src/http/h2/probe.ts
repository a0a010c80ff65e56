/**
 * Finds out whether a fresh connection's peer speaks HTTP/2 with prior knowledge (`h2UpgradePolicy: UPGRADE`):
 * sends the preface and waits for SETTINGS. An HTTP/1.1 server answers the preface with 400, or closes.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { H2ClientConnection } from './client.ts';
import type { H2Options } from './connection.ts';

export interface ProbeOutcome {
  /** The peer answered SETTINGS: an HTTP/2 client on the very connection. */
  onH2(client: H2ClientConnection): void;
  /** It did not (in time): the connection was closed; dial again and speak HTTP/1.1. */
  onH1(): void;
}

export interface ProbeOptions {
  timeoutMs: number;
  h2?: Partial<H2Options>;
}

/** Return the result as the handler of the socket; it becomes the client's. */
export function probeH2(
  connection: Connection,
  deps: { clock: Clock },
  options: ProbeOptions,
  outcome: ProbeOutcome,
): ConnectionHandler {
  return new Probe(connection, deps, options, outcome);
}

class Probe implements ConnectionHandler {
  private readonly client: H2ClientConnection;
  private readonly connection: Connection;
  private readonly outcome: ProbeOutcome;
  private readonly timer: Timer;
  private decided = false;

  constructor(
    connection: Connection,
    deps: { clock: Clock },
    options: ProbeOptions,
    outcome: ProbeOutcome,
  ) {
    this.connection = connection;
    this.outcome = outcome;
    this.client = new H2ClientConnection(connection, deps, options.h2);
    this.timer = deps.clock.after(options.timeoutMs, () => this.h1());
  }

  onData(bytes: Uint8Array): void {
    this.client.onData(bytes);
    if (this.decided) return;
    if (this.client.closed) this.h1();
    else if (this.client.established) {
      this.decided = true;
      this.timer.cancel();
      this.outcome.onH2(this.client);
    }
  }

  onDrain(): void {
    this.client.onDrain();
  }

  onEnd(): void {
    if (this.decided) this.client.onEnd();
    else this.h1();
  }

  onClose(error: MeshError | undefined): void {
    this.client.onClose(error);
    if (!this.decided) this.h1();
  }

  private h1(): void {
    if (this.decided) return;
    this.decided = true;
    this.timer.cancel();
    this.client.onClose(undefined);
    this.connection.reset();
    this.outcome.onH1();
  }
}
