/**
 * `/config_dump` of a waypoint or gateway: what the control plane told it, as it is in force. Of TLS material the names, and what is
 * wrong with it: never a byte of a key, nor the certificates, which whoever connects is shown.
 */
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import { shownTelemetry } from '#model/telemetry/shown.ts';
import { type JsonMembers, list, value } from '#telemetry/admin/json-stream.ts';
import type { SnapshotInput } from '../config/snapshot.ts';
import type { Engine } from '../engine.ts';

export interface DumpSources {
  readonly engine: Engine;
  /** As the engine was configured last. */
  readonly input: SnapshotInput;
  readonly upstreams: Iterable<unknown>;
  readonly materials: Iterable<string>;
  /** Undefined: as by default. */
  readonly telemetry: ScopedTelemetry | undefined;
  /** Of ports that could not be bound. */
  readonly problems: readonly string[];
  /** Address and port of each listener. */
  readonly listeners: readonly object[];
}

export function configDump(sources: DumpSources): JsonMembers {
  const { engine, input } = sources;
  function* tables() {
    for (const [, table] of input.tables) yield table;
  }
  return {
    version: value(engine.snapshot?.version ?? 0),
    problems: value([...(engine.snapshot?.problems ?? []), ...sources.problems]),
    listeners: value(sources.listeners),
    services: list(tables()),
    gateways: list(input.gateways ?? []),
    upstreams: list(sources.upstreams),
    materials: list(sources.materials),
    telemetry: value(sources.telemetry && shownTelemetry(sources.telemetry)),
  };
}
