/**
 * The answer of "why" as a line with stations: the client, each hop that decided something, where it ends. A step belongs to the hop it
 * names, else to the one before it: steps come in the order of the path (src/cli/why). Pure.
 */
import type { WhyAnswer, WhyPolicy, WhyRequest } from '#cli/why/contract.ts';

export type StationKind = 'client' | 'proxy' | 'gateway' | 'waypoint' | 'sidecar' | 'destination';

export interface Station {
  readonly kind: StationKind;
  readonly title: string;
  readonly steps: readonly string[];
  /** What was made up because nothing was known. */
  readonly assumed: readonly string[];
  /** Rules that decided here. */
  readonly deciding: readonly WhyPolicy[];
  /** Rules that were looked at and did not match. */
  readonly rejected: readonly WhyPolicy[];
  readonly route?: WhyAnswer['route'];
  /** The journey ends here, though the reader wanted it to go on. */
  readonly isStop: boolean;
}

export interface WhyLeg {
  /** To the next station. */
  readonly transport: 'mtls' | 'plaintext';
  readonly label: string;
}

export interface WhyPath {
  readonly stations: readonly Station[];
  /** One fewer than stations. */
  readonly legs: readonly WhyLeg[];
  readonly isArriving: boolean;
  readonly ends: readonly WhyEnd[];
}

export interface WhyEnd {
  readonly host: string;
  readonly port: number;
  readonly subset: string;
  readonly weight: number;
  readonly endpoints: WhyAnswer['destinations'][number]['endpoints'];
}

interface Hop {
  readonly kind: StationKind;
  readonly title: string;
  steps: string[];
  assumed: string[];
}

const HOPS: readonly {
  readonly pattern: RegExp;
  readonly kind: StationKind;
  readonly title: (name: string) => string;
}[] = [
  { pattern: /^the client's node proxy/, kind: 'proxy', title: () => "Client's node proxy" },
  {
    pattern: /^the client's sidecar|through its sidecar$/,
    kind: 'sidecar',
    title: () => "Client's sidecar",
  },
  {
    pattern: /(?:^| reaches )waypoint (\S+?):?(?: |$)/,
    kind: 'waypoint',
    title: (name) => `Waypoint ${name}`,
  },
  {
    pattern: /^(?:assumed: )?gateway (\S+?):?(?: |$)/,
    kind: 'gateway',
    title: (name) => `Gateway ${name}`,
  },
  {
    pattern: /^the node proxy of (\S+?):? /,
    kind: 'destination',
    title: (name) => `Node proxy of ${name}`,
  },
  {
    pattern: /^the sidecar of (\S+?):? /,
    kind: 'destination',
    title: (name) => `Sidecar of ${name}`,
  },
];

export function whyPath(request: WhyRequest, answer: WhyAnswer): WhyPath {
  const hops = withOneEnd(hopsOf(request, answer));
  const isArriving = answer.verdict === 'forward';
  const stations = assignRules(hops, answer).map((station, index) => ({
    ...station,
    isStop: !isArriving && index === hops.length - 1,
  }));
  return {
    stations,
    legs: stations
      .slice(1)
      .map((station, index) => legBefore(station, { before: stations[index], request, answer })),
    isArriving,
    ends: answer.destinations.map(({ host, port, subset = '', weight, endpoints }) => ({
      host,
      port,
      subset,
      weight,
      endpoints,
    })),
  };
}

function hopsOf(request: WhyRequest, answer: WhyAnswer): Hop[] {
  const hops: Hop[] = [{ kind: 'client', title: clientTitle(request), steps: [], assumed: [] }];
  let here = hops[0];
  for (const step of answer.steps) {
    const found = HOPS.map((hop) => ({ hop, match: hop.pattern.exec(step) })).find(
      ({ match }) => match !== null,
    );
    if (found !== undefined) {
      const title = found.hop.title(found.match![1] ?? '');
      // A split comes back to the hop that picks, once for each destination.
      const known = hops.find((each) => each.title === title);
      here = known ?? { kind: found.hop.kind, title, steps: [], assumed: [] };
      if (known === undefined) hops.push(here);
    }
    if (step.startsWith('assumed: ')) here.assumed.push(step.slice('assumed: '.length));
    else here.steps.push(step);
  }
  return hops;
}

/** Pods that a request may end at stand side by side on the way: one station for all. */
function withOneEnd(hops: readonly Hop[]): Hop[] {
  const ends = hops.filter((hop) => hop.kind === 'destination');
  if (ends.length < 2) return [...hops];
  const joined: Hop = {
    kind: 'destination',
    title: `Node proxies of ${ends.length} pods`,
    steps: ends.flatMap((hop) => hop.steps),
    assumed: ends.flatMap((hop) => hop.assumed),
  };
  return [...hops.filter((hop) => hop.kind !== 'destination'), joined];
}

function clientTitle({ source, gateway }: WhyRequest): string {
  if (gateway !== undefined) return 'Client outside the mesh';
  const { workload, namespace = 'default', serviceAccount, ip } = source ?? {};
  return (
    workload ??
    (serviceAccount === undefined
      ? (ip ?? `Client in ${namespace}`)
      : `${namespace}/${serviceAccount}`)
  );
}

/** A rule belongs to the hop whose step names it, else to the one that judges requests on this path. */
function assignRules(hops: readonly Hop[], answer: WhyAnswer): Omit<Station, 'isStop'>[] {
  const judges = ['waypoint', 'gateway', 'sidecar', 'destination'];
  const last = hops.length - 1;
  const usual = Math.max(
    0,
    hops.findIndex((hop) => judges.includes(hop.kind)),
  );
  const placeOf = (key: string, fallback: number) => {
    const named = hops.findIndex((hop) => hop.steps.some((step) => step.includes(key)));
    return named < 0 ? fallback : named;
  };
  const at = (policy: WhyPolicy) =>
    placeOf(
      `${policy.kind} ${policy.namespace}/${policy.name}`,
      policy.action === 'DENY' && policy.matched ? last : usual,
    );
  const { route } = answer;
  const routeAt =
    route === undefined ? -1 : placeOf(`${route.kind} ${route.namespace}/${route.name}`, usual);
  return hops.map((hop, index) => {
    const here = answer.policies.filter((policy) => at(policy) === index);
    return {
      ...hop,
      deciding: here.filter((policy) => policy.matched),
      rejected: here.filter((policy) => !policy.matched),
      ...(routeAt === index && { route }),
    };
  });
}

interface Around {
  readonly before: Station;
  readonly request: WhyRequest;
  readonly answer: WhyAnswer;
}

function legBefore(station: Station, { before, request, answer }: Around): WhyLeg {
  if (before.kind === 'client' && (station.kind === 'proxy' || station.kind === 'sidecar'))
    return { transport: 'plaintext', label: 'inside the pod' };
  if (before.kind === 'client' && request.gateway !== undefined)
    return {
      transport: answer.mtls.client === 'simple' ? 'mtls' : 'plaintext',
      label: answer.mtls.client === 'simple' ? 'TLS' : 'plaintext',
    };
  return answer.mtls.client === 'plaintext' &&
    before.kind !== 'waypoint' &&
    before.kind !== 'gateway'
    ? { transport: 'plaintext', label: 'plaintext' }
    : { transport: 'mtls', label: answer.mtls.client === 'istio-mtls' ? 'mTLS' : 'HBONE, mTLS' };
}
