/** Puts the shared parts of a node proxy together, whatever feeds them. */
import { systemClock } from '#base/clock.ts';
import { type Logger, LogLevels } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { openJudgedPool } from '#hbone/pool/judged-pool.ts';
import type { SvidStore } from '#identity/svid/svid-store.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { openFilesMax } from '#net/netns/open-files.ts';
import { OtlpExporters } from '#otlp/exporters.ts';
import { LogWriter, standardOutput } from '#telemetry/access-log/log-writer.ts';
import { crlRejections, exposeProcess } from '#telemetry/metrics/istio.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { SpanOutlet } from '#telemetry/tracing/span-outlet.ts';
import type { AccessLogFormat } from './access-log.ts';
import { type DnsOptions, dnsContext } from './dns/dns-context.ts';
import { DnsHostResolver } from './dns/host-resolver.ts';
import { DescribedSources } from './inbound/described-sources.ts';
import { METRIC_SWEEP_MS } from './limits.ts';
import { PROXY_MARK } from './marks.ts';
import { MeshState } from './state/mesh-state.ts';
import { NodeTelemetry } from './telemetry.ts';
import { NodeTracing } from './tracing.ts';
import { type PodLimits, podLimitsFor, shareOf } from './usage/pod-limits.ts';
import { Usages } from './usage/usages.ts';
import { WorkerGroup } from './worker/worker-group.ts';
import type { NodeContext } from './workload/context.ts';

export interface Assembly {
  context: NodeContext;
  registry: MetricRegistry;
  accessLog: LogWriter;
  levels: LogLevels;
  /** Takes the spans of all threads. */
  spans: SpanOutlet;
  exporters: OtlpExporters;
}

export interface AssemblyOptions {
  log: Logger;
  identities: SvidStore;
  trustDomain: string;
  logFormat: AccessLogFormat;
  /** Those of the access log. */
  levels?: LogLevels;
  /** What was chosen; the rest derives from the process's limits. */
  podLimits?: Partial<PodLimits>;
  /** Revocation lists, followed as the file changes. */
  crlFile?: string;
  /** Of the DNS proxy; the rest is as ztunnel's defaults. */
  dns?: DnsOptions;
  /** Data workers besides this thread. */
  workers?: number;
  /** `namespace/name` of this proxy. */
  proxy?: string;
  /** Takes the spans, in place of an outlet of our own. */
  spans?: Pick<SpanOutlet, 'offerSpan'>;
  /** Takes access log text; false when it is full. */
  write?: (text: string) => boolean;
}

const utf8 = new TextDecoder();

export function assembleNode(options: AssemblyOptions): Assembly {
  const clock = systemClock;
  const random = systemRandom;
  const network = new BunNetwork({ clock, log: options.log.child('net') });
  const registry = new MetricRegistry();
  exposeProcess(registry, { component: 'ztunnel', tag: 'tulle' });
  const { write } = options;
  const accessLog = new LogWriter(
    write === undefined
      ? standardOutput
      : { ...standardOutput, write: (lines) => write(utf8.decode(lines)) },
  );
  const { levels = new LogLevels('info') } = options;
  const state = new MeshState();
  const spans = new SpanOutlet();
  const settings = () => state.current.telemetry;
  const tracing = new NodeTracing({
    clock,
    random,
    environment: process.env,
    settings,
    outlet: options.spans ?? spans,
    proxy: options.proxy ?? 'node',
  });
  const exporters = new OtlpExporters({
    ...{ clock, random, network, registry, log: options.log },
    environment: process.env,
  });
  spans.exports = (provider, span) => exporters.span(provider, span);
  const telemetry = new NodeTelemetry(
    { clock, registry, log: accessLog, levels, settings, tracing },
    { format: options.logFormat },
  );
  clock.every(METRIC_SWEEP_MS, () => telemetry.sweep());
  const { identities, log, crlFile, workers = 0 } = options;
  const limits = shareOf(podLimitsFor(openFilesMax(), options.podLimits), 1 + workers);
  const usages = new Usages({ clock, registry, log }, limits);
  const { pool, revocations } = openJudgedPool(
    { network, clock, log, identities, onRevoked: crlRejections(registry) },
    { crlFile, mark: PROXY_MARK },
  );
  const base = { clock, random, log, network, state };
  const dns = dnsContext({ ...base, registry, usages }, options.dns);
  const context: NodeContext = {
    ...base,
    dns,
    hosts: new DnsHostResolver(dns),
    identities,
    pool,
    telemetry,
    tracing,
    usages,
    sources: new DescribedSources(),
    trustDomain: options.trustDomain,
    revocations,
    workers: undefined,
  };
  if (workers > 0) {
    const { trustDomain, logFormat } = options;
    const start = {
      trustDomain,
      logFormat,
      levels: String(levels),
      podLimits: limits,
      crlFile,
      dns: options.dns,
      proxy: options.proxy,
    };
    context.workers = new WorkerGroup({ ...context, accessLog, spans }, workers, start);
    const group = context.workers;
    levels.onChange((text) => group.setLevels(text));
  }
  return { context, registry, accessLog, levels, spans, exporters };
}
