/** Answers for people: the verdict, the way of the request hop by hop, what changes on it, and the policies that were asked. */
import type { Colour, Palette } from '../../output/table.ts';
import { formatTable } from '../../output/table.ts';
import type { WhyAnswer, WhyOperations, WhyRequest } from '../../why/contract.ts';

export function formatAnswers(
  requests: readonly WhyRequest[],
  answers: readonly WhyAnswer[],
  paint: Palette,
): string {
  return answers
    .map((answer, at) => {
      const title = answers.length === 1 ? '' : `${paint('bold', titleOf(requests[at]))}\n`;
      return title + formatAnswer(answer, paint);
    })
    .join('\n');
}

function titleOf({ method = 'GET', path = '/', destination }: WhyRequest): string {
  return `${method} ${destination.host}:${destination.port}${path}`;
}

const WORDS: Record<WhyAnswer['verdict'], [string, Colour]> = {
  forward: ['FORWARDED', 'green'],
  redirect: ['REDIRECTED', 'cyan'],
  respond: ['ANSWERED BY THE MESH', 'yellow'],
  deny: ['DENIED', 'red'],
  reset: ['CONNECTION REFUSED', 'red'],
  'no-route': ['NO ROUTE', 'red'],
};

export function formatAnswer(answer: WhyAnswer, paint: Palette): string {
  const [word, colour] = WORDS[answer.verdict];
  const status = answer.status === undefined ? '' : ` ${answer.status}`;
  const lines = [`${paint(colour, word + status)}  ${answer.reason}`, ''];
  answer.steps.forEach((step, at) => {
    const isLast = at === answer.steps.length - 1;
    lines.push(`  ${isLast ? '└─' : '├─'} ${step}`);
  });
  for (const [name, text] of factsOf(answer)) lines.push(`  ${paint('dim', name)}  ${text}`);
  const { mtls } = answer;
  lines.push(`  ${paint('dim', 'mtls')}  client ${mtls.client}, server ${mtls.server}`, '');
  return lines.join('\n') + destinationsOf(answer) + policiesOf(answer, paint);
}

function factsOf(answer: WhyAnswer): [string, string][] {
  const { route, request, response, mirrors = [], fault, timeoutMs, retries } = answer;
  const facts: [string, string][] = [];
  if (route !== undefined) {
    const rule = route.rule === undefined ? '' : ` rule ${route.rule}`;
    facts.push(['route', `${route.kind} ${route.namespace}/${route.name}${rule}: ${route.reason}`]);
  }
  if (request?.host !== undefined) facts.push(['host becomes', request.host]);
  if (request?.path !== undefined) facts.push(['path becomes', request.path]);
  if (request !== undefined) facts.push(...operationsOf('request', request));
  if (response !== undefined) facts.push(...operationsOf('response', response));
  for (const { host, port, percent } of mirrors)
    facts.push(['mirror', `${percent} % to ${host}:${port}`]);
  if (fault?.delayMs !== undefined)
    facts.push(['delay', `${fault.delayMs} ms for ${fault.delayPercent} %`]);
  if (fault?.abortStatus !== undefined)
    facts.push(['abort', `${fault.abortStatus} for ${fault.abortPercent} %`]);
  if (timeoutMs !== undefined) facts.push(['timeout', `${timeoutMs} ms`]);
  if (retries !== undefined && retries.attempts > 0)
    facts.push(['retries', `${retries.attempts} on ${retries.on.join(', ')}`]);
  return facts;
}

function operationsOf(what: string, { set, add, remove }: WhyOperations): [string, string][] {
  const pairs = (values: Readonly<Record<string, string>> = {}) =>
    Object.entries(values).map(([name, value]) => `${name}: ${value}`);
  const lines: [string, string[]][] = [
    [`${what} set`, pairs(set)],
    [`${what} add`, pairs(add)],
    [`${what} remove`, [...(remove ?? [])]],
  ];
  return lines.flatMap(([name, values]) => values.map((value): [string, string] => [name, value]));
}

function destinationsOf({ destinations }: WhyAnswer): string {
  if (destinations.length === 0) return '';
  const rows = destinations.map(({ host, port, subset, weight, endpoints }) => [
    `${host}:${port}`,
    subset ?? '-',
    `${Math.round(weight * 100) / 100}%`,
    endpoints.map(({ workload, address }) => workload ?? address).join(', ') || '-',
  ]);
  return `\n${formatTable(['DESTINATION', 'SUBSET', 'SHARE', 'ENDPOINTS'], rows)}`;
}

function policiesOf({ policies }: WhyAnswer, paint: Palette): string {
  if (policies.length === 0) return '';
  const rows = policies.map(({ kind, namespace, name, action, matched, reason }) => [
    `${kind} ${namespace}/${name}`,
    action,
    matched ? paint(action === 'ALLOW' ? 'green' : 'red', 'yes') : 'no',
    reason,
  ]);
  return `\n${formatTable(['POLICY', 'ACTION', 'MATCHES', 'WHY'], rows)}`;
}
