/** `tulle why`: reads requests and manifests, asks the running mesh when there are none, and prints the answers. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { clauseOf, messageOf } from '#base/errors.ts';
import { readManifests } from '#kube/manifests.ts';
import { askConsole } from '../../console-client.ts';
import { AnswerIsNo, UsageError } from '../../output/report.ts';
import { paletteFor } from '../../output/table.ts';
import type { WhyAnswer, WhyRequest } from '../../why/contract.ts';
import { answerAll, readRequests } from '../../why/serve.ts';
import { worldOf } from '../../why/world.ts';
import { formatAnswers } from './text.ts';

export interface WhyOptions {
  filename?: string[];
  request?: string;
  from?: string;
  to?: string;
  method?: string;
  path?: string;
  header?: string[];
  sni?: string;
  gateway?: string;
  protocol?: string;
  mode?: string;
  namespace: string;
  output: string;
}

const PORT_DEFAULT = 80;

export async function whyCommand(options: WhyOptions, command: Command): Promise<void> {
  if (options.request === '-' && options.filename?.includes('-'))
    throw new UsageError('standard input cannot be both the manifests and the request');
  const world =
    options.filename &&
    worldOf(
      readManifests(options.filename).map(({ object }) => object),
      options.namespace,
    );
  const body = options.request === undefined ? fromFlags(options) : bodyOf(options.request);
  const read = readRequests(body);
  if (read.requests === undefined) throw new UsageError(read.problem);
  const answers =
    world === undefined
      ? [await askConsole<WhyAnswer | WhyAnswer[]>(command, '/api/v1/why', body)].flat()
      : answerAll(world, read.requests);
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify(read.isList ? answers : answers[0], null, 2)}\n`
      : formatAnswers(read.requests, answers, paletteFor(process.stdout, process.env)),
  );
  if (answers.some(isNo)) throw new AnswerIsNo('');
}

/** The request does not reach a destination, and nobody wanted it otherwise. */
function isNo({ verdict, status = 0 }: WhyAnswer): boolean {
  if (verdict === 'respond') return status >= 400;
  return verdict === 'deny' || verdict === 'reset' || verdict === 'no-route';
}

function bodyOf(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path === '-' ? '/dev/stdin' : path, 'utf8');
  } catch (error) {
    throw new UsageError(`--request ${path}: ${clauseOf(error)}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--request ${path} is no JSON: ${messageOf(error)}`);
  }
}

function fromFlags(options: WhyOptions): WhyRequest {
  const { to, method, path, sni, gateway, namespace } = options;
  if (to === undefined && gateway === undefined)
    throw new UsageError('say what is asked for: --to host:port, or --request FILE');
  if (gateway !== undefined && !/^[^/]+\/[^/]+$/.test(gateway))
    throw new UsageError(`--gateway ${gateway}: write it as NAMESPACE/NAME`);
  const headers = Object.fromEntries((options.header ?? []).map(headerOf));
  return {
    ...(gateway === undefined && { source: sourceOf(options.from, namespace) }),
    destination: destinationOf(to ?? gateway?.split('/')[1] ?? ''),
    ...(gateway !== undefined && { gateway }),
    ...(options.mode !== undefined && { mode: options.mode as WhyRequest['mode'] }),
    ...(options.protocol !== undefined && { protocol: options.protocol as WhyRequest['protocol'] }),
    ...(sni !== undefined && { sni }),
    ...(method !== undefined && { method }),
    ...(path !== undefined && { path }),
    ...(Object.keys(headers).length > 0 && { headers }),
  };
}

function headerOf(text: string): [string, string] {
  const colon = text.indexOf(':', text.startsWith(':') ? 1 : 0);
  if (colon <= 0) throw new UsageError(`--header ${text}: write it as name:value`);
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
}

function destinationOf(text: string): WhyRequest['destination'] {
  const match = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  // An IPv6 address without brackets has no port.
  if (match === null) return { host: text, port: PORT_DEFAULT };
  return { host: match[1] ?? match[2], port: match[3] ? Number(match[3]) : PORT_DEFAULT };
}

/** A pod says more than a service account: where there is one of the name, its account, labels and address count. */
function sourceOf(from: string | undefined, namespace: string): WhyRequest['source'] {
  if (from === undefined) return { namespace };
  const [own, name, ...more] = from.includes('/') ? from.split('/') : [namespace, from];
  if (own === '' || !name || more.length > 0)
    throw new UsageError(
      `--from ${from}: write it as NAMESPACE/SERVICEACCOUNT, NAMESPACE/POD, or a name in --namespace`,
    );
  return { namespace: own, serviceAccount: name, workload: `${own}/${name}` };
}
