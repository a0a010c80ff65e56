/** What the console's server is made of: the control plane hands it in. */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import type { RequestRecord, TapFilter } from '#telemetry/requests/request-record.ts';
import type { Finding } from '../api/config.ts';
import type { ConsoleData } from '../console-data.ts';
import type { MeshView } from '../mesh-view.ts';
import type { BundleSource } from './bundle.ts';

/**
 * Judges requests on the live mesh: JSON in, JSON out. Handed in by who assembles the processes, since the proxies' own decisions answer
 * and no role imports another's.
 */
export type AnswerWhy = (body: unknown) => Promise<{ status: 200 | 400; value: object }>;

/** Asks the proxies to tell of requests that the filter takes, until the returned function is called. */
export type Tap = (filter: TapFilter, onRecord: (record: RequestRecord) => void) => () => void;

/** `tulle status`; what is of other namespaces is left out by `sees`. */
export type StatusOf = (sees: (namespace: string) => boolean) => object;

export interface ConsoleDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly mesh: MeshView;
  readonly data: ConsoleData;
  readonly tap: Tap;
  /** The control plane's own. */
  readonly kube: KubeClient;
  /** Acts with a reader's token. */
  readonly asReader: (token: string) => KubeClient;
  readonly answerWhy: AnswerWhy | undefined;
  readonly status: StatusOf;
  /** What compiling the object would say; undefined where nobody compiles its kind. */
  readonly judge: (object: KubeObject & { spec?: object }) => readonly Finding[] | undefined;
  readonly bundle: BundleSource;
}
