/** `tls` and `tcp` rules of a VirtualService: compiled by name, then bound to services for one proxy and port. */
import type { L4Match } from '#model/route/route-table.ts';
import type { SourceCondition } from './source-condition.ts';
import { sourceCondition } from './source-condition.ts';
import type { PendingTarget } from './target.ts';
import { targetOf } from './target.ts';
import type {
  TcpMatchSpec,
  TcpRouteSpec,
  TlsMatchSpec,
  TlsRouteSpec,
} from './virtual-service-kinds.ts';

export interface PendingL4Match {
  readonly match: L4Match;
  readonly source: SourceCondition;
  /** Of the match in its object, for findings. */
  readonly path: string;
}

export interface PendingL4Route {
  readonly index: number;
  readonly kind: 'tls' | 'tcp';
  /** Empty: every connection. */
  readonly matches: readonly PendingL4Match[];
  readonly destinations: readonly (PendingTarget & { readonly weight: number })[];
}

/** Names in `spec` are full (full-names.ts). */
export function compileL4Rule(
  spec: TlsRouteSpec | TcpRouteSpec,
  kind: 'tls' | 'tcp',
  index: number,
): PendingL4Route {
  const path = `spec.${kind}[${index}]`;
  const specs = spec.route ?? [];
  return {
    index,
    kind,
    matches: (spec.match ?? []).map((match: TlsMatchSpec & TcpMatchSpec, at) => ({
      path: `${path}.match[${at}]`,
      source: sourceCondition(match),
      match: {
        sniHosts: (match.sniHosts ?? []).map((host) => host.toLowerCase()),
        destinationSubnets: match.destinationSubnets ?? [],
        sourceSubnets: match.sourceSubnet ? [match.sourceSubnet] : [],
      },
    })),
    destinations: specs.flatMap(({ destination, weight = 0 }, at) => {
      // As for HTTP: a single destination takes everything, of several those with a weight.
      const used = specs.length === 1 ? 1 : weight;
      const target = targetOf(destination, `${path}.route[${at}].destination`);
      return used === 0 ? [] : [{ ...target, weight: used }];
    }),
  };
}
