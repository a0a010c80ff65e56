/**
 * Which listeners of a parent take a route, with which of its hostnames, and if none does, why
 * (RouteConditionAccepted of the specification). Pure.
 */
import { compileLabelSelector, matchLabels } from '#kube/meta/label-selector.ts';
import type { Fault } from './conditions.ts';
import { ANY_HOST, covers, hostnamesAt } from './hostnames.ts';
import type { NamespaceRule, ParentRef } from './kinds.ts';
import { GATEWAY_GROUP } from './kinds.ts';
import type { CompiledListener } from './listeners.ts';
import { GATEWAY, ISTIO_GROUP, type Referent, referentOf } from './references.ts';
import type { CompiledRoute } from './route.ts';

export interface Attachment {
  /** Key of the listener. */
  readonly listener: string;
  /** Those of the route within the listener's. */
  readonly hostnames: readonly string[];
}

export type ParentKind = 'Gateway' | 'ListenerSet' | 'Service' | 'ServiceEntry';

/** A parent of a kind that we serve; undefined for others, which are other controllers' to report. */
export function parentOf(
  ref: ParentRef,
  namespace: string,
): (Referent & { kind: ParentKind }) | undefined {
  const parent = referentOf(ref, { ...GATEWAY, namespace });
  const { group, kind } = parent;
  if (kind === 'Gateway' || kind === 'ListenerSet')
    return group === GATEWAY_GROUP ? { ...parent, kind } : undefined;
  if (kind === 'Service') return group === '' || group === 'core' ? { ...parent, kind } : undefined;
  return kind === 'ServiceEntry' && group === ISTIO_GROUP ? { ...parent, kind } : undefined;
}

/** Labels of a namespace; Kubernetes gives each its name as a label. */
export type NamespaceLabels = (namespace: string) => Readonly<Record<string, string>> | undefined;

/** Whether objects of a namespace may attach to one of another. */
export function allowsNamespace(
  rule: NamespaceRule | undefined,
  between: { owner: string; other: string; defaultFrom: 'Same' | 'None' },
  labelsOf: NamespaceLabels,
): boolean {
  switch (rule?.from ?? between.defaultFrom) {
    case 'All':
      return true;
    case 'Same':
      return between.owner === between.other;
    case 'Selector': {
      if (rule?.selector === undefined) return false;
      const labels = { 'kubernetes.io/metadata.name': between.other, ...labelsOf(between.other) };
      return matchLabels(compileLabelSelector(rule.selector), labels);
    }
    default:
      return false;
  }
}

/** `listeners` are all of the Gateway; the parent is the Gateway or one of its ListenerSets. */
export function attachToListeners(
  route: CompiledRoute,
  ref: ParentRef,
  parent: Referent,
  from: { listeners: readonly CompiledListener[]; labelsOf: NamespaceLabels },
): { attachments: readonly Attachment[]; fault: Fault | undefined } {
  const own = from.listeners.filter(
    ({ owner }) =>
      owner.kind === parent.kind &&
      owner.namespace === parent.namespace &&
      owner.name === parent.name,
  );
  const named = own.filter(
    ({ name, port }) =>
      (!ref.sectionName || ref.sectionName === name) && (!ref.port || ref.port === port),
  );
  if (named.length === 0) {
    const wanted = [
      ref.sectionName && `section ${ref.sectionName}`,
      ref.port && `port ${ref.port}`,
    ].filter(Boolean);
    const which = wanted.length === 0 ? 'no listeners' : `no listener with ${wanted.join(' and ')}`;
    return refused(
      'NoMatchingParent',
      `${parent.kind} ${parent.namespace}/${parent.name} has ${which}`,
    );
  }
  const ofKind = named.filter(({ supportedKinds }) => supportedKinds.includes(route.kind));
  if (ofKind.length === 0)
    return refused(
      'NotAllowedByListeners',
      `${route.kind} is not allowed by the listeners: they take ${kindsOf(named)}`,
    );
  const between = { other: route.namespace, owner: parent.namespace, defaultFrom: 'Same' } as const;
  const allowed = ofKind.filter(({ allowedRoutes }) =>
    allowsNamespace(allowedRoutes?.namespaces, between, from.labelsOf),
  );
  if (allowed.length === 0)
    return refused(
      'NotAllowedByListeners',
      `namespace ${route.namespace} is not allowed by the listeners' allowedRoutes`,
    );
  const attachments = allowed.flatMap((listener): Attachment[] => {
    const hostnames = hostnamesAt(
      listener.hostname,
      route.kind === 'TCPRoute' ? [] : route.hostnames,
    );
    return hostnames.length === 0 ? [] : [{ listener: listener.key, hostnames }];
  });
  if (attachments.length > 0) return { attachments, fault: undefined };
  const hosts = allowed.map(({ hostname }) => hostname).join(', ');
  return refused('NoMatchingListenerHostname', `no hostname of the route is one of ${hosts}`);
}

function refused(
  reason: string,
  message: string,
): { attachments: readonly Attachment[]; fault: Fault } {
  return { attachments: [], fault: { reason, message } };
}

function kindsOf(listeners: readonly CompiledListener[]): string {
  return (
    [...new Set(listeners.flatMap(({ supportedKinds }) => supportedKinds))].join(', ') || 'none'
  );
}

/**
 * Listener isolation: a host that a more specific listener of the same port and protocol covers is only that
 * listener's, whatever the routes of this one say (GatewayHTTPListenerIsolation).
 */
export function isolatedHostnames(
  listener: CompiledListener,
  hostnames: readonly string[],
  listeners: readonly CompiledListener[],
): readonly string[] {
  const rivals = listeners.filter(
    ({ port, protocol, hostname }) =>
      port === listener.port &&
      protocol === listener.protocol &&
      hostname !== listener.hostname &&
      hostname !== ANY_HOST &&
      covers(listener.hostname, hostname),
  );
  return rivals.length === 0
    ? hostnames
    : hostnames.filter((host) => !rivals.some((rival) => covers(rival.hostname, host)));
}
