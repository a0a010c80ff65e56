/** Requests as JSON, one or an array, to answers of the same shape. */
import type { MeshSettings } from '#control/derive/mesh.ts';
import type { MeshGraph } from '#control/ingest/mesh-graph.ts';
import { checkRequest } from './check-request.ts';
import type { WhyAnswer, WhyRequest } from './contract.ts';
import { why } from './why.ts';
import { liveWorld, type World } from './world.ts';

export type Read =
  | {
      readonly requests: readonly WhyRequest[];
      readonly isList: boolean;
      readonly problem: undefined;
    }
  | { readonly requests: undefined; readonly problem: string };

export function readRequests(body: unknown): Read {
  const isList = Array.isArray(body);
  const requests: WhyRequest[] = [];
  const problems: string[] = [];
  (isList ? body : [body]).forEach((each: unknown, at: number) => {
    const checked = checkRequest(each);
    if (checked.request !== undefined) requests.push(checked.request);
    else
      problems.push(...checked.problems.map((text) => (isList ? `request ${at}: ${text}` : text)));
  });
  return problems.length > 0
    ? { requests: undefined, problem: problems.join('; ') }
    : { requests, isList, problem: undefined };
}

export function answerAll(world: World, requests: readonly WhyRequest[]): WhyAnswer[] {
  return requests.map((request) => why(world, request));
}

/** On the running mesh. */
export function answerLive(
  mesh: MeshGraph,
  settings: MeshSettings,
  body: unknown,
): { status: 200 | 400; value: object } {
  const read = readRequests(body);
  if (read.requests === undefined) return { status: 400, value: { error: read.problem } };
  const answers = answerAll(liveWorld(mesh, settings), read.requests);
  return { status: 200, value: read.isList ? answers : answers[0] };
}
