/** What the control loop and the console's thread tell each other. */
import type { LogFields, LogLevel } from '#base/log.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import type { SeriesAnswer } from '../api/series.ts';
import type { GraphRequest, SeriesRequest } from '../console-data.ts';
import type { MeshUpdate } from '../graph/mesh-picture.ts';
import type { MeshChange } from '../mesh-view.ts';
import type { PrometheusOptions } from '../prometheus/client.ts';
import type { StoreLimits } from '../store/telemetry-store.ts';
import type { ConsoleEngine } from './console-engine.ts';

export type ToEngine =
  | {
      kind: 'start';
      directory: string | undefined;
      limits: StoreLimits;
      prometheus: PrometheusOptions | undefined;
      clusterId: string;
    }
  /** `sentMs`: milliseconds since the epoch. */
  | { kind: 'sink'; bytes: Uint8Array; sentMs: number }
  | { kind: 'spans'; spans: readonly Span[] }
  | { kind: 'records'; records: readonly RequestRecord[] }
  | { kind: 'dropped'; spans: number; records: number }
  | { kind: 'mesh'; update: MeshUpdate }
  | { kind: 'changes'; changes: readonly MeshChange[] }
  | { kind: 'ask'; id: number; question: Question }
  | { kind: 'follow'; id: number; request: GraphRequest }
  | { kind: 'join'; id: number; listener: number }
  | { kind: 'unfollow'; id: number }
  | { kind: 'close' };

export type FromEngine =
  | { kind: 'ready'; lastSeconds: ReadonlyMap<string, number> }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'failed'; id: number; message: string; stack: string }
  /** `listener`: for it alone. */
  | { kind: 'followed'; id: number; event: 'graph' | 'delta'; json: Uint8Array; listener?: number }
  /** Everything that was sent before is in the store. */
  | { kind: 'booked'; beforeMs: number }
  | { kind: 'log'; level: LogLevel; message: string; fields: LogFields }
  | { kind: 'closed' };

/** One of the engine's answers, by name; the arguments are what it takes. */
export type Question = {
  [Name in keyof Answers]: { name: Name; args: Parameters<Answers[Name]> };
}[keyof Answers];

export interface Answers {
  graphJson: (...asked: Parameters<ConsoleEngine['graphJson']>) => Uint8Array | Promise<Uint8Array>;
  timeline: ConsoleEngine['timeline'];
  series: (request: SeriesRequest) => SeriesAnswer | Promise<SeriesAnswer>;
  changes: ConsoleEngine['store']['history']['list'];
  change: ConsoleEngine['store']['history']['get'];
  traffic: ConsoleEngine['traffic'];
  mtlsCells: ConsoleEngine['mtlsCells'];
  policyHits: ConsoleEngine['requests']['policyHits'];
  requests: ConsoleEngine['requests']['find'];
  traces: ConsoleEngine['traces']['find'];
  trace: ConsoleEngine['traces']['get'];
  storeState: ConsoleEngine['storeState'];
}
