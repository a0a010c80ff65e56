/**
 * The same generated requests through our engine and through Envoy: both must bring the same meaning to a recording upstream,
 * or refuse. Differences on purpose are known by trait (docs/http.md lists them).
 */
import type { Random } from '#base/random.ts';
import { startEnvoy } from './envoy-proxy.ts';
import { httpEngine } from './http-engine.ts';
import { type ReceivedRequest, recordingUpstream } from './recording-upstream.ts';

/** What a proxy adds, or owns; and framing, which may change as long as the body does not. */
const OWN =
  /^(x-forwarded-.*|x-request-id|x-envoy-.*|x-b3-.*|traceparent|tracestate|content-length|transfer-encoding|connection)$/;

/** The meaning of what arrived. */
function meaning({ method, target, fields, body, trailers }: ReceivedRequest): string {
  const lines = [...fields]
    .filter(([name]) => !OWN.test(name))
    .map(([name, value]) => `${name}: ${value}`)
    .sort();
  const tail = trailers.map(([name, value]) => `${name}: ${value}`).sort();
  return JSON.stringify({ method, target, lines, body, tail });
}

export interface DifferentialCase {
  readonly traits: readonly string[];
  /** For people. */
  readonly shown: string;
  /** The first final status; 0 when there was none. */
  readonly send: (port: number) => Promise<number>;
}

export const pick = <T>(random: Random, values: readonly T[]): T =>
  values[random.integer(values.length)];

export interface Difference {
  readonly traits: readonly string[];
  readonly shown: string;
  readonly ours: string;
  readonly envoys: string;
}

/** Cases in flight at once. */
const PARALLEL = 16;

/** Those that are not among the deliberate ones: traits, alone or together. */
export async function findDifferences(
  count: number,
  draw: (id: number) => DifferentialCase,
  deliberate: readonly (readonly string[])[],
): Promise<Difference[]> {
  await using ourUpstream = await recordingUpstream();
  await using envoysUpstream = await recordingUpstream();
  using mesh = httpEngine({ upstreamPort: ourUpstream.port });
  await using envoy = await startEnvoy({ upstreamPort: envoysUpstream.port });
  const cases = Array.from({ length: count }, (_, id) => ({ id, ...draw(id) }));
  const statuses = new Map<number, [ours: number, envoys: number]>();
  for (let from = 0; from < count; from += PARALLEL) {
    await Promise.all(
      cases.slice(from, from + PARALLEL).map(async ({ id, send }) => {
        const both = [send(mesh.port), send(envoy.port)] as const;
        const [ours, envoys] = await Promise.all(both);
        statuses.set(id, [ours, envoys]);
      }),
    );
  }
  const ourMeanings = byCase(ourUpstream.requests);
  const envoysMeanings = byCase(envoysUpstream.requests);
  if (ourUpstream.faults.length > 0) throw new Error(`we sent ${ourUpstream.faults.join('; ')}`);
  return cases.flatMap(({ id, traits, shown }) => {
    const [ourStatus, envoysStatus] = statuses.get(id) ?? [0, 0];
    const ours = ourMeanings.get(id) ?? `refused ${Math.floor(ourStatus / 100)}xx`;
    const envoys = envoysMeanings.get(id) ?? `refused ${Math.floor(envoysStatus / 100)}xx`;
    const isSame = ours === envoys || (ours.startsWith('refused') && envoys.startsWith('refused'));
    const isMeant = deliberate.some((all) => all.every((trait) => traits.includes(trait)));
    return isSame || isMeant ? [] : [{ traits, shown, ours, envoys }];
  });
}

function byCase(requests: readonly ReceivedRequest[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const request of requests) {
    const id = request.fields.find(([name]) => name === 'x-case')?.[1];
    found.set(Number(id), meaning(request));
  }
  return found;
}
