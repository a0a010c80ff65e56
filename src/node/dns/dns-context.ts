/** What the look-ups of all pods of this process share. */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { BunDatagrams } from '#net/bun/bun-datagrams.ts';
import type { Datagrams } from '#net/datagram.ts';
import { openFilesMax } from '#net/netns/open-files.ts';
import type { Network } from '#net/network.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { MeshState } from '../state/mesh-state.ts';
import type { Meter } from '../usage/meter.ts';
import type { Usages } from '../usage/usages.ts';
import { DEFAULT_DNS_SETTINGS, type DnsSettings } from './decide.ts';
import { DnsMetrics } from './dns-metrics.ts';
import { pendingQueriesMax, RESOLV_CONF } from './limits.ts';
import { followResolvConf, type Nameservers } from './nameservers.ts';

export interface DnsContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly network: Network;
  readonly datagrams: Datagrams;
  readonly state: MeshState;
  readonly settings: DnsSettings;
  readonly nameservers: Nameservers;
  readonly metrics: DnsMetrics;
  /** Waiting queries of all pods. */
  readonly pending: Meter;
}

export interface DnsOptions extends Partial<DnsSettings> {
  /** Instead of /etc/resolv.conf. */
  readonly resolvConf?: string;
}

type Shared = Pick<DnsContext, 'clock' | 'random' | 'log' | 'network' | 'state'>;

export function dnsContext(
  { registry, usages, ...shared }: Shared & { registry: MetricRegistry; usages: Usages },
  { resolvConf = RESOLV_CONF, ...settings }: DnsOptions = {},
): DnsContext {
  return {
    ...shared,
    datagrams: new BunDatagrams(),
    settings: { ...DEFAULT_DNS_SETTINGS, ...settings },
    nameservers: followResolvConf(resolvConf, shared),
    metrics: new DnsMetrics(registry),
    pending: usages.shared('dns-queries', pendingQueriesMax(openFilesMax())),
  };
}
