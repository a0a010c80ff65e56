/** One pair of workloads and a service, with one outcome, as the metrics of a node proxy see it: the handles that its connections add to. */
import type { Service } from '#model/service/service.ts';
import type { MetricKey } from '#model/telemetry/settings.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { FlowTally } from '#telemetry/flow/flow-tally.ts';
import type { Holder } from '#telemetry/metrics/budget.ts';
import {
  LOCALITY_LABELS,
  TCP_FAILED_LABELS,
  TCP_LABELS,
  type TcpMetrics,
} from '#telemetry/metrics/istio.ts';
import type { Family } from '#telemetry/metrics/registry.ts';
import { applyRule, type MetricRules } from '#telemetry/metrics/rules.ts';
import { Counter } from '#telemetry/metrics/series.ts';
import type { CloseCause } from './close-cause.ts';
import type { ResponseFlag } from './respond.ts';
import type { ConnectionFacts } from './telemetry.ts';

export class EdgeCounters implements Holder {
  readonly owner: string;
  readonly places = 1;
  hits = 0;
  usedAt = 0;
  /** Connections that run. */
  live = 0;
  readonly isShared: boolean;
  readonly opened: Counter;
  readonly closed: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  /** By cause; made when one is first seen. */
  readonly #failed = new Map<string, Counter>();
  readonly source: Workload | undefined;
  readonly destination: Workload | undefined;
  readonly #sourceIdentity: string | undefined;
  readonly #destinationIdentity: string | undefined;
  readonly #requested: Service | undefined;
  readonly #direction: ConnectionFacts['direction'];
  readonly #mutualTls: boolean;
  #isReleased = false;
  readonly rules: MetricRules;
  readonly flow: FlowTally;
  readonly #flag: ResponseFlag;
  readonly #metrics: TcpMetrics;
  readonly #values: readonly string[];
  readonly #asked: readonly string[];
  readonly #held: [Family<Counter>, Counter][] = [];

  constructor(
    metrics: TcpMetrics,
    parts: {
      owner: string;
      isShared: boolean;
      facts: ConnectionFacts;
      rules: MetricRules;
      values: readonly string[];
      asked: readonly string[];
      flow: FlowTally;
      flag: ResponseFlag;
    },
  ) {
    this.#metrics = metrics;
    this.owner = parts.owner;
    this.isShared = parts.isShared;
    const { facts } = parts;
    this.source = facts.sourceWorkload;
    this.destination = facts.destinationWorkload;
    this.#sourceIdentity = facts.sourceIdentity;
    this.#destinationIdentity = facts.destinationIdentity;
    this.#requested = facts.requested;
    this.#direction = facts.direction;
    this.#mutualTls = facts.mutualTls;
    this.rules = parts.rules;
    this.#values = parts.values;
    this.#asked = parts.asked;
    this.flow = parts.flow;
    this.#flag = parts.flag;
    this.opened = this.#handle('TCP_OPENED_CONNECTIONS', metrics.opened);
    this.closed = this.#handle('TCP_CLOSED_CONNECTIONS', metrics.closed);
    this.received = this.#handle('TCP_RECEIVED_BYTES', metrics.received);
    this.sent = this.#handle('TCP_SENT_BYTES', metrics.sent);
  }

  get isBusy(): boolean {
    return this.live > 0;
  }

  /** The edge of these facts, whatever is asked of a connection beyond them. */
  isOf(facts: ConnectionFacts, rules: MetricRules, flag: ResponseFlag): boolean {
    return (
      this.source === facts.sourceWorkload &&
      this.destination === facts.destinationWorkload &&
      this.#sourceIdentity === facts.sourceIdentity &&
      this.#destinationIdentity === facts.destinationIdentity &&
      this.#requested === facts.requested &&
      this.#direction === facts.direction &&
      this.#mutualTls === facts.mutualTls &&
      this.rules === rules &&
      this.#flag === flag &&
      !this.#isReleased
    );
  }

  fail({ by, reason }: CloseCause): void {
    const key = `${by} ${reason}`;
    let counter = this.#failed.get(key);
    if (counter === undefined) {
      // Not one of those that a Telemetry names: it follows the connections that were opened.
      counter = this.#handle('TCP_OPENED_CONNECTIONS', this.#metrics.failed, [by, reason]);
      this.#failed.set(key, counter);
    }
    counter.add(1);
    this.flow.fail(this.#flag);
  }

  release(): void {
    this.#isReleased = true;
    for (const [family, counter] of this.#held) family.release(counter);
    this.#held.length = 0;
  }

  #handle(metric: MetricKey, family: Family<Counter>, cause: readonly string[] = []): Counter {
    if (this.rules.isDisabled(metric)) return NOWHERE;
    const isLocated = this.#values.length > TCP_LABELS.length;
    const names = cause.length > 0 ? FAILED_NAMES[Number(isLocated)] : NAMES[Number(isLocated)];
    const values = [
      ...this.#values.slice(0, TCP_LABELS.length),
      ...cause,
      ...this.#values.slice(TCP_LABELS.length),
    ];
    const rule = this.rules.labelsOf(metric, names);
    const own = names.length === family.labels.length ? family.labels : names;
    const counter =
      rule === undefined
        ? family.with(values, own)
        : family.with(applyRule(rule, values, this.#asked), rule.names);
    this.#held.push([family, counter]);
    return counter;
  }
}

/** What is counted of a metric that is off: nobody reads it. */
const NOWHERE = new Counter('', []);
/** Without and with what is known of the places. */
const NAMES = [TCP_LABELS, [...TCP_LABELS, ...LOCALITY_LABELS]] as const;
const FAILED_NAMES = [TCP_FAILED_LABELS, [...TCP_FAILED_LABELS, ...LOCALITY_LABELS]] as const;
