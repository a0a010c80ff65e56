/**
 * The collectors of one process: one queue and one connection for each provider and signal, made with the first record, let go when
 * the provider is no longer configured.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { CollectorAddress, TracingProvider } from '#model/telemetry/settings.ts';
import type { Network } from '#net/network.ts';
import type { Family, MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Counter, Gauge } from '#telemetry/metrics/series.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { jsonEncoding, type OtlpEncoding, protobufEncoding, type Signal } from './encode.ts';
import { ExportQueue } from './export-queue.ts';
import { grpcSender } from './grpc-sender.ts';
import { httpSender, type Send } from './http-sender.ts';
import { EXPORT_TIMEOUT_MS } from './limits.ts';
import type { LogRecord, Resource } from './messages.ts';
import { environmentAttributes, type ResourceFacts, resourceKey, resourceOf } from './resource.ts';

export interface ExporterDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly log: Logger;
  readonly registry: MetricRegistry;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Where the records of a log go. */
export interface LogCollector {
  /** Name of the extension provider. */
  readonly name: string;
  readonly collector: CollectorAddress;
}

type End = 'exported' | 'rejected' | 'dropped' | 'failed';

export class OtlpExporters {
  readonly #deps: ExporterDeps;
  readonly #open = new Map<string, Exporter>();
  /** Settings objects live as long as their snapshot. */
  readonly #known = new WeakMap<object, Exporter>();
  readonly #records: Family<Counter>;
  readonly #waiting: Family<Gauge>;

  constructor(deps: ExporterDeps) {
    this.#deps = deps;
    this.#records = deps.registry.counter({
      name: 'tulle_otlp_records_total',
      help: 'Spans and log records for a collector, by what became of them.',
      labels: ['signal', 'provider', 'outcome'],
    });
    this.#waiting = deps.registry.gauge({
      name: 'tulle_otlp_queue_records',
      help: 'Spans and log records that wait for a collector.',
      labels: ['signal', 'provider'],
    });
    deps.registry.onCollect(() => {
      for (const exporter of this.#open.values()) exporter.measure();
    });
  }

  span(provider: TracingProvider, span: Span): void {
    this.#of(provider, 'traces', provider).span(span);
  }

  log(collector: LogCollector, from: ResourceFacts, record: LogRecord): void {
    this.#of(collector, 'logs', logProvider(collector)).log(from, record);
  }

  /** Lets go of collectors that are not among them. */
  retain(providers: readonly TracingProvider[], logs: readonly LogCollector[]): void {
    const wanted = new Set([
      ...providers.map((each) => keyOf('traces', each)),
      ...logs.map((each) => keyOf('logs', logProvider(each))),
    ]);
    for (const [key, exporter] of [...this.#open]) {
      if (wanted.has(key)) continue;
      this.#open.delete(key);
      void exporter.close();
    }
  }

  /** What waits is sent once more. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((exporter) => exporter.close()));
    this.#open.clear();
  }

  #of(from: object, signal: Signal, provider: TracingProvider): Exporter {
    const known = this.#known.get(from);
    if (known?.isOpen === true) return known;
    const key = keyOf(signal, provider);
    let exporter = this.#open.get(key);
    if (exporter === undefined) {
      const { name } = provider;
      exporter = new Exporter(this.#deps, {
        signal,
        provider,
        count: (count, end) => this.#records.with([signal, name, end]).add(count),
        waiting: this.#waiting.with([signal, name]),
      });
      this.#open.set(key, exporter);
    }
    this.#known.set(from, exporter);
    return exporter;
  }
}

const keyOf = (signal: Signal, provider: TracingProvider): string =>
  `${signal} ${JSON.stringify(provider)}`;

/** Istio's log provider speaks gRPC, and has nothing else to set. */
function logProvider({ name, collector }: LogCollector): TracingProvider {
  return {
    name,
    protocol: 'otlp-grpc',
    collector,
    path: '',
    headers: [],
    readsEnvironment: false,
    semanticServiceName: false,
  };
}

interface ExporterOptions {
  readonly signal: Signal;
  readonly provider: TracingProvider;
  readonly count: (count: number, end: End) => void;
  readonly waiting: Gauge;
}

class Exporter {
  isOpen = true;
  readonly #queue: ExportQueue;
  readonly #encoding: OtlpEncoding;
  readonly #options: ExporterOptions;
  readonly #extra: Readonly<Record<string, string>>;
  readonly #resources = new Map<string, Resource>();
  readonly #closeSender: () => void;

  constructor(deps: ExporterDeps, options: ExporterOptions) {
    const { clock, random, environment } = deps;
    const { signal, provider, count } = options;
    this.#options = options;
    this.#encoding = encodingOf(provider);
    this.#extra = provider.readsEnvironment
      ? environmentAttributes(environment.OTEL_RESOURCE_ATTRIBUTES)
      : {};
    const { send, close } = senderOf(deps, options, this.#encoding);
    this.#closeSender = close;
    const log = deps.log.child('otlp', { provider: provider.name, signal });
    this.#queue = new ExportQueue({
      clock,
      random,
      send: (groups) => send(this.#encoding.request(signal, groups)),
      events: {
        onRecords: count,
        onTrouble(reason) {
          if (reason === undefined) log.info('the collector takes records again');
          else {
            const hint =
              'is it up, and does it take OTLP at this port? records wait, then are dropped';
            log.warn('the collector does not take records', { reason, hint });
          }
        },
      },
    });
  }

  span(span: Span): void {
    this.#queue.offer(resourceKey(span), this.#resource(span), this.#encoding.span(span));
  }

  log(from: ResourceFacts, record: LogRecord): void {
    this.#queue.offer(resourceKey(from), this.#resource(from), this.#encoding.log(record));
  }

  measure(): void {
    this.#options.waiting.set(this.#queue.length);
  }

  async close(): Promise<void> {
    this.isOpen = false;
    await this.#queue.close();
    this.#options.waiting.set(0);
    this.#closeSender();
  }

  #resource(facts: ResourceFacts): Resource {
    const key = resourceKey(facts);
    let resource = this.#resources.get(key);
    if (resource === undefined) {
      // A node proxy speaks for its pods, which come and go.
      if (this.#resources.size >= RESOURCES_MAX) this.#resources.clear();
      resource = resourceOf(facts, this.#extra);
      this.#resources.set(key, resource);
    }
    return resource;
  }
}

/** Of one process: the pods of a node, twice. */
const RESOURCES_MAX = 512;

/** JSON where the provider's headers ask for it. */
function encodingOf({ protocol, headers }: TracingProvider): OtlpEncoding {
  const type = headers.find(({ name }) => name.toLowerCase() === 'content-type')?.value;
  return protocol === 'otlp-http' && type === jsonEncoding.contentType
    ? jsonEncoding
    : protobufEncoding;
}

function senderOf(
  deps: ExporterDeps,
  { signal, provider }: ExporterOptions,
  { contentType }: OtlpEncoding,
): { send: Send; close: () => void } {
  const { collector, headers, timeoutMs = EXPORT_TIMEOUT_MS } = provider;
  if (provider.protocol === 'otlp-grpc')
    return grpcSender(deps, { collector, signal, timeoutMs, headers });
  const path = provider.path || `/v1/${signal}`;
  const send = httpSender(deps.clock, { collector, path, timeoutMs, headers, contentType });
  return { send, close: () => undefined };
}
