/**
 * Routing cases of the Gateway API's conformance tests, from their files through the control plane's compilers to the
 * decisions that the proxies take. Runs where the cases are beside the checkout.
 */
import { describe, expect, test } from 'bun:test';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';
import type { Entrance, Outcome, RoutingCase } from '#test/support/gateway-api-cases.ts';
import { entrancesOf, meshOfCase } from '#test/support/gateway-api-cases.ts';

/** Its source expects the path /named of a request for /unnamed, and its own comparison does not look at paths. */
const MISTAKEN = ['gwapi/MeshHTTPRouteNamedRule/01'];

const cases = (foreignCases<RoutingCase>('routing-gateway-api.json') ?? []).filter(
  ({ id }) => !MISTAKEN.includes(id),
);

/** What is wrong with an outcome; empty when it is as expected. */
function differences({ expect: wanted }: RoutingCase, got: Outcome): string[] {
  const found: string[] = [];
  const statuses = [wanted.status].flat();
  if (!statuses.includes(got.status)) found.push(`status ${got.status}, not ${statuses}`);
  if (wanted.destination !== undefined) {
    const [name, namespace] = wanted.destination.split('.');
    const isIt = (upstream: string) =>
      upstream.split('/')[1].startsWith(name) &&
      (namespace === '(any)' || upstream.startsWith(`${namespace}/`));
    if (!got.upstreams.some(isIt)) found.push(`to ${got.upstreams}, not ${wanted.destination}`);
  }
  found.push(...redirectDifferences(wanted.redirect, got.location));
  const { upstreamRequest: request } = wanted;
  if (request?.path && got.upstreamHead?.path !== request.path)
    found.push(`path ${got.upstreamHead?.path}, not ${request.path}`);
  if (request?.host && got.upstreamHead?.authority !== request.host)
    found.push(`host ${got.upstreamHead?.authority}, not ${request.host}`);
  if (request?.path) found.push(...fieldDifferences(request, got.upstreamHead));
  if (wanted.response) found.push(...fieldDifferences(wanted.response, got.responseHead));
  for (const { backendRef } of wanted.mirroredTo ?? [])
    if (
      !got.mirrors.some((upstream) =>
        upstream.startsWith(`${backendRef.Namespace}/${backendRef.Name}.`),
      )
    )
      found.push(`not mirrored to ${backendRef.Name}`);
  return found;
}

function redirectDifferences(
  wanted: RoutingCase['expect']['redirect'],
  location: URL | undefined,
): string[] {
  if (wanted === undefined) return [];
  if (location === undefined) return ['no redirect'];
  const got = {
    scheme: location.protocol.slice(0, -1),
    host: location.hostname,
    port: location.port,
    path: location.pathname,
  };
  return Object.entries(wanted).flatMap(([part, value]) => {
    const own = got[part as keyof typeof got];
    return own === value ? [] : [`${part} ${own}, not ${value}`];
  });
}

interface Fields {
  headers?: Record<string, string> | null;
  absentHeaders?: string[];
  validHeaderValues?: Record<string, string[]>;
}

function fieldDifferences(
  { headers, absentHeaders = [], validHeaderValues = {} }: Fields,
  head: MessageHead | undefined,
): string[] {
  if (head === undefined) return ['no head'];
  const plain = (text: string | undefined) => text?.replace(/\s*,\s*/g, ',');
  const value = (name: string) => plain(head.getAll(name.toLowerCase()));
  return [
    ...Object.entries(headers ?? {}).flatMap(([name, wanted]) =>
      value(name) === plain(wanted) ? [] : [`${name}: ${value(name)}, not ${wanted}`],
    ),
    ...absentHeaders.flatMap((name) => (value(name) === undefined ? [] : [`${name} is there`])),
    ...Object.entries(validHeaderValues).flatMap(([name, wanted]) =>
      wanted.map(plain).includes(value(name)) ? [] : [`${name}: ${value(name)}, not ${wanted}`],
    ),
  ];
}

/** The host may carry the port to enter by; a client that names none speaks to an address. */
function askAt(entrances: readonly Entrance[], row: RoutingCase): Outcome[] {
  const authority = row.request.host ?? (row.kind === 'gateway' ? '198.18.0.9' : 'echo');
  const port = Number(authority.split(':')[1] ?? (row.kind === 'gateway' ? NaN : 80));
  const own = entrances.filter((each) => each.port === port);
  return (own.length > 0 ? own : entrances).map((each) =>
    each.decide(authority, row.request, origin(row)),
  );
}

/** The application echoes these when asked to by a field of the request. */
function origin({ backendSetsResponseHeaders = {} }: RoutingCase): Record<string, string> {
  return Object.fromEntries(
    Object.entries(backendSetsResponseHeaders).filter(([name]) => !name.startsWith('$')),
  );
}

describe('routing of the Gateway API', () => {
  for (const row of cases)
    test(row.id, () => {
      const entrances = entrancesOf(row);
      expect(entrances).not.toEqual([]);
      const found = askAt(entrances, row).map((outcome) => differences(row, outcome));
      // Which of several gateways the request went to is not said: none may serve what is expected to be refused.
      const isRefused = row.expect.status === 404;
      if (isRefused) expect(found.flat()).toEqual([]);
      else expect(found.some((each) => each.length === 0) ? [] : found).toEqual([]);
      if (row.request.sNI !== undefined) expect(snisOf(row)).toContain(row.request.sNI);
    });
});

/** Names by which the backends of the route are asked for. */
function snisOf(row: RoutingCase): (string | undefined)[] {
  const { mesh } = meshOfCase(row);
  return [...mesh.upstreams.entries()].flatMap(([, { portPolicies = {} }]) =>
    Object.values(portPolicies).map(({ tls }) => tls?.sni),
  );
}
