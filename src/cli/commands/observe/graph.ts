/** `tulle graph`: who talks to whom, as a picture of text, for graphviz, or as JSON. */
import type { Command } from 'commander';
import type { EjectedEndpoint, GraphAnswer, GraphEdge, GraphNode } from '#console/api/graph.ts';
import { askConsole } from '../../console-client.ts';
import { formatTable, type Palette, paletteFor } from '../../output/table.ts';
import { addressOf } from './flags.ts';
import { bytesText, errorText, msText, nodeText, printable, rateText, shareText } from './words.ts';

export interface GraphOptions {
  namespace: string[];
  window?: string;
  type?: string;
  at?: string;
  focus?: string;
  idle?: boolean;
  waypoints?: boolean;
  output: string;
}

export async function graph(options: GraphOptions, command: Command): Promise<void> {
  const { namespace, window, type, at, focus, idle, waypoints } = options;
  const path = addressOf('graph', {
    namespaces: namespace,
    window,
    type,
    at,
    focus,
    idle,
    waypoints,
  });
  const answer = await askConsole<GraphAnswer>(command, path);
  // Beside the output: what reads JSON or dot finds it there, or not at all.
  if (answer.notice !== undefined) process.stderr.write(`${answer.notice}\n`);
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  else if (options.output === 'dot') process.stdout.write(formatDot(answer));
  else process.stdout.write(formatGraph(answer, paletteFor(process.stdout, process.env)));
}

/** Each source once, and what it talks to beneath it. */
export function formatGraph(answer: GraphAnswer, paint: Palette): string {
  if (answer.edges.length === 0) return formatDiagnosis(answer, paint);
  const nodes = new Map(answer.nodes.map((node) => [node.id, node]));
  const bySource = Map.groupBy([...answer.edges].sort(byRate), ({ source }) => source);
  const sources = [...bySource.keys()].sort(
    (left, right) =>
      depth(left, answer.edges) - depth(right, answer.edges) || (left < right ? -1 : 1),
  );
  const rows = sources.flatMap((source) => {
    const edges = bySource.get(source) ?? [];
    return [
      [paint('bold', label(nodes.get(source), source))],
      ...edges.map((edge, at) => [
        `${at === edges.length - 1 ? '└' : '├'}─▶ ${label(nodes.get(edge.target), edge.target)}${splitText(edge)}`,
        edge.protocol,
        ...numbers(edge, paint),
        mtlsText(edge, paint),
        edge.via === undefined ? '' : `via ${nodeText(edge.via)}`,
      ]),
    ];
  });
  const header = ['FROM, TO', 'PROTOCOL', 'RATE', 'ERRORS', 'P50', 'P95', 'MTLS', ''];
  // An endpoint is told of at its workload, its service and each version.
  const ejected = [
    ...new Map(
      answer.nodes
        .flatMap((node) => node.ejected ?? [])
        .map((each) => [`${each.address} ${each.service} ${each.by}`, each]),
    ).values(),
  ];
  const age =
    answer.isLive && (answer.ageSeconds ?? 0) > 10
      ? `\nlast report of a proxy: ${Math.round(answer.ageSeconds ?? 0)} s ago\n`
      : '';
  return `${formatTable(header, rows)}${ejected.length === 0 ? '' : `\n${formatEjected(ejected)}`}${age}`;
}

function formatEjected(ejected: readonly EjectedEndpoint[]): string {
  const rows = ejected.map(({ workload, address, service, remainingMs, by, reason }) => [
    workload || address,
    service,
    remainingMs === undefined ? '-' : `${Math.ceil(remainingMs / 1000)}s`,
    by,
    reason,
  ]);
  return formatTable(['EJECTED', 'OF', 'BACK IN', 'BY', 'REASON'], rows);
}

/** Who only asks stands above who is asked. */
function depth(id: string, edges: readonly GraphEdge[]): number {
  return edges.some(({ target }) => target === id) ? 1 : 0;
}

function byRate(left: GraphEdge, right: GraphEdge): number {
  return (
    right.requestsPerSecond - left.requestsPerSecond ||
    right.bytesPerSecond - left.bytesPerSecond ||
    (left.id < right.id ? -1 : 1)
  );
}

function label(node: GraphNode | undefined, id: string): string {
  const version =
    node === undefined || node.version === '' || node.version === 'latest'
      ? ''
      : `@${node.version}`;
  return printable(`${nodeText(id)}${id.startsWith('workload/') ? version : ''}`);
}

function splitText({ split }: GraphEdge): string {
  return split === undefined ? '' : ` (${split.intended}% → ${split.seen.toFixed(1)}%)`;
}

function numbers(edge: GraphEdge, paint: Palette): string[] {
  if (edge.protocol === 'tcp')
    return [
      bytesText(edge.bytesPerSecond),
      edge.errorRate > 0 ? errorText(edge.errorRate, paint) : '',
      '',
      '',
    ];
  return [
    rateText(edge.requestsPerSecond),
    errorText(edge.errorRate, paint),
    msText(edge.p50Ms),
    msText(edge.p95Ms),
  ];
}

function mtlsText({ mtls }: GraphEdge, paint: Palette): string {
  return mtls !== undefined && mtls < 1 ? paint('yellow', shareText(mtls)) : shareText(mtls);
}

function formatDiagnosis({ diagnosis, windowSeconds }: GraphAnswer, paint: Palette): string {
  if (diagnosis === undefined) return `nothing flowed in the last ${windowSeconds} s\n`;
  const marks = { yes: paint('green', 'yes'), no: paint('red', 'no'), unknown: paint('dim', '?') };
  const steps = diagnosis.steps.map(({ question, state, detail, command }) => {
    const mend = state !== 'yes' && command !== undefined ? `\n      try: ${command}` : '';
    return `  ${marks[state]}  ${question}: ${detail}${mend}\n`;
  });
  return `${diagnosis.summary}\n${steps.join('')}`;
}

/** For `dot -Tsvg`. */
export function formatDot({ nodes, edges }: GraphAnswer): string {
  const quoted = (text: string) => `"${printable(text).replace(/["\\]/g, (each) => `\\${each}`)}"`;
  const shapes: Readonly<Record<string, string>> = {
    service: 'oval',
    external: 'box, style=dashed',
    unknown: 'box, style=dashed',
    waypoint: 'diamond',
    gateway: 'diamond',
  };
  const lines = nodes.map(
    (node) =>
      `  ${quoted(node.id)} [label=${quoted(label(node, node.id))}, shape=${shapes[node.kind] ?? 'box, style=rounded'}];`,
  );
  const arrows = edges.map((edge) => {
    const numbersText = numbers(edge, (_colour, text) => text)
      .filter((text) => text !== '')
      .join(' ');
    const colour =
      edge.health.status === 'failing'
        ? 'red'
        : edge.health.status === 'degraded'
          ? 'orange'
          : 'black';
    return `  ${quoted(edge.source)} -> ${quoted(edge.target)} [label=${quoted(`${edge.protocol} ${numbersText}`)}, color=${colour}${edge.mtls === 1 ? '' : ', style=dashed'}];`;
  });
  return [
    'digraph mesh {',
    '  rankdir=LR;',
    '  node [fontname="sans-serif"];',
    ...lines,
    ...arrows,
    '}',
    '',
  ].join('\n');
}
