/** `/connections` of a waypoint or gateway: clients' connections that are open, in the shape of the node proxy's answer. */

import { formatHostPort } from '#base/ip.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { ConnectionFilter } from '#telemetry/admin/connections-query.ts';
import { type JsonMembers, list, value } from '#telemetry/admin/json-stream.ts';
import type { OpenConnection } from '../listener/serve-connection.ts';

/** This proxy. */
interface Self {
  /** Its pod. */
  readonly name: string;
  readonly principal: Principal;
  /** The service at a name or an address; undefined: none, or a gateway's listener. */
  hostnameAt(host: string): string | undefined;
}

export function connectionsAnswer(
  open: Iterable<OpenConnection>,
  options: { filter: ConnectionFilter; limit: number; now: number; self: Self },
): JsonMembers {
  const { filter, limit, now, self } = options;
  const all = [...open];
  const matched = all.filter((each) => matches(each, filter));
  function* reports() {
    for (const each of matched.slice(0, limit)) yield reportOf(each, now, self);
  }
  return {
    total: value(all.length),
    matched: value(matched.length),
    limit: value(limit),
    connections: list(reports()),
  };
}

function matches({ tunnel }: OpenConnection, filter: ConnectionFilter): boolean {
  if (filter.direction !== undefined && filter.direction !== 'inbound') return false;
  const { workload, workloadNamespace } = tunnel.source.labels;
  if (filter.namespace !== undefined && workloadNamespace !== filter.namespace) return false;
  const { pod } = filter;
  return pod === undefined || pod === workload || pod === `${workloadNamespace}/${workload}`;
}

function reportOf(open: OpenConnection, now: number, self: Self): object {
  const { tunnel, receivedBytes, sentBytes } = open;
  const { source, host, port, security } = tunnel;
  const { workload, workloadNamespace } = source.labels;
  const authority = formatHostPort(host, port);
  return {
    direction: 'inbound',
    pod: self.name,
    source: {
      workload: workload === 'unknown' ? undefined : `${workloadNamespace}/${workload}`,
      address: tunnel.remote,
      identity: source.principal,
    },
    destination: {
      workload: undefined,
      address: authority,
      identity: security === 'mutual_tls' ? self.principal : undefined,
    },
    service: tunnel.gateway?.sni ?? self.hostnameAt(host) ?? host,
    authority,
    protocol: tunnel.gateway === undefined ? 'HBONE' : 'TCP',
    mutualTls: security === 'mutual_tls',
    ageMs: Math.round(now - open.since),
    receivedBytes,
    sentBytes,
  };
}
