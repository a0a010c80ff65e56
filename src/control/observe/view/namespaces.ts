/** Namespaces: enrolment, waypoint, and which mutual TLS is asked for in them. Pure. */
import { byAge, identityOf } from '#config/compile/istio-kinds.ts';
import type { NamespaceView } from '#console/mesh-view.ts';
import type { Namespace } from '#kube/client/kinds.ts';
import { LABEL } from '../../derive/mesh.ts';
import type { PeerAuthenticationObject } from '../../derive/peer-authentication.ts';

type Mode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

export function namespaceViews(
  namespaces: Iterable<Namespace>,
  policies: readonly PeerAuthenticationObject[],
  rootNamespace: string,
): NamespaceView[] {
  const byNamespace = Map.groupBy(policies, (each) => identityOf(each).namespace);
  const mesh = wholeOf(byNamespace.get(rootNamespace) ?? []);
  const views = [...namespaces].map(({ metadata }) => {
    const { name, labels = {} } = metadata;
    const waypoint = labels[LABEL.useWaypoint] ?? '';
    const own = byNamespace.get(name) ?? [];
    return {
      name,
      isEnrolled: labels[LABEL.dataplaneMode] === 'ambient',
      waypoint:
        waypoint === '' || waypoint === 'none'
          ? ''
          : `${labels[LABEL.useWaypointNamespace] ?? name}/${waypoint}`,
      ...modeOf(own, mesh, name === rootNamespace),
    };
  });
  return views.sort((left, right) => (left.name < right.name ? -1 : 1));
}

interface Said {
  readonly mtlsMode: NamespaceView['mtlsMode'];
  readonly mtlsFrom: string;
}

function modeOf(
  own: readonly PeerAuthenticationObject[],
  mesh: Said | undefined,
  isRoot: boolean,
): Said {
  const said = wholeOf(own) ?? mesh ?? { mtlsMode: 'PERMISSIVE' as const, mtlsFrom: 'default' };
  // In the root namespace those with a selector count as none (Istio).
  const others = isRoot
    ? []
    : own.filter((each) => !isWhole(each) || each.spec?.portLevelMtls !== undefined);
  const differing = others.find(({ spec }) => {
    const ports = Object.values(spec?.portLevelMtls ?? {}).map(({ mode }) => mode);
    return [spec?.mtls?.mode, ...ports].some((mode) => isMode(mode) && mode !== said.mtlsMode);
  });
  return differing === undefined ? said : { mtlsMode: 'MIXED', mtlsFrom: resourceOf(differing) };
}

/** The oldest that is about everything counts, as everywhere. */
function wholeOf(policies: readonly PeerAuthenticationObject[]): Said | undefined {
  const [oldest] = policies
    .filter(isWhole)
    .sort((left, right) => byAge(identityOf(left), identityOf(right)));
  const mode = oldest?.spec?.mtls?.mode;
  return isMode(mode) ? { mtlsMode: mode, mtlsFrom: resourceOf(oldest) } : undefined;
}

function isWhole({ spec }: PeerAuthenticationObject): boolean {
  return Object.keys(spec?.selector?.matchLabels ?? {}).length === 0;
}

function isMode(mode: string | undefined): mode is Mode {
  return mode === 'STRICT' || mode === 'PERMISSIVE' || mode === 'DISABLE';
}

function resourceOf(policy: PeerAuthenticationObject): string {
  const { namespace, name } = identityOf(policy);
  return `PeerAuthentication ${namespace}/${name}`;
}
