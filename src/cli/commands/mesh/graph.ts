/** `tulle graph`: edges with rates, errors and latency, one line each, and what is ejected. */
import type { GraphAnswer, GraphEdge, GraphNode } from '#control/observe/api.ts';
import { askConsole } from '../../console-client.ts';
import { formatTable, type Palette, paletteFor } from '../../output/table.ts';
import { formatEjections } from './status.ts';

export interface GraphOptions {
  namespace?: string;
  output: string;
}

export async function graph(options: GraphOptions): Promise<void> {
  const query =
    options.namespace === undefined ? '' : `?namespace=${encodeURIComponent(options.namespace)}`;
  const answer = await askConsole<GraphAnswer>(`/api/graph${query}`);
  const palette = paletteFor(process.stdout, process.env);
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify(answer, null, 2)}\n`
      : formatGraph(answer, palette),
  );
}

/** Above this share of failed requests an edge is red. */
const ERROR_RATE_RED = 0.01;

export function formatGraph(answer: GraphAnswer, paint: Palette): string {
  if (answer.edges.length === 0) return `nothing flowed in the last ${answer.windowSeconds} s\n`;
  const nodes = new Map(answer.nodes.map((node) => [node.id, node]));
  const shown = withoutCarriers(answer.edges);
  const rows = shown.map((edge) => [
    label(nodes.get(edge.source), edge.source),
    label(nodes.get(edge.destination), edge.destination),
    edge.protocol,
    ...rates(edge, paint),
    edge.mtls === undefined ? '-' : `${Math.round(edge.mtls * 100)}%`,
  ]);
  const header = ['FROM', 'TO', 'PROTOCOL', 'RATE', 'ERRORS', 'P50', 'P99', 'MTLS'];
  const ejections = formatEjections(answer.ejections);
  return formatTable(header, rows) + (ejections === '' ? '' : `\n${ejections}`);
}

/**
 * A request is seen twice, as HTTP by the waypoint and as bytes by the node proxies that carry it. People want the
 * request; the bytes stay in the JSON.
 */
function withoutCarriers(edges: readonly GraphEdge[]): readonly GraphEdge[] {
  const http = edges.filter((edge) => edge.protocol === 'http');
  const pairs = new Set(http.map((edge) => `${edge.source} ${edge.destination}`));
  return edges.filter(
    (edge) =>
      edge.protocol === 'http' ||
      !(edge.source.startsWith('waypoint/') || pairs.has(`${edge.source} ${edge.destination}`)),
  );
}

function label(node: GraphNode | undefined, id: string): string {
  if (node === undefined) return id;
  if (node.kind === 'unknown') return node.name;
  const version = node.version === undefined || node.version === 'latest' ? '' : `@${node.version}`;
  return `${node.kind === 'workload' ? '' : `${node.kind} `}${node.namespace}/${node.name}${version}`;
}

function rates(edge: GraphEdge, paint: Palette): string[] {
  if (edge.protocol === 'tcp') {
    const kibibytes = (edge.bytesSentPerSecond + edge.bytesReceivedPerSecond) / 1024;
    return [`${kibibytes.toFixed(1)} KiB/s`, '', '', ''];
  }
  const errors = `${(edge.errorRate * 100).toFixed(1)}%`;
  return [
    `${edge.requestsPerSecond.toFixed(1)}/s`,
    edge.errorRate > ERROR_RATE_RED ? paint('red', errors) : errors,
    edge.p50Ms === undefined ? '-' : `${edge.p50Ms.toFixed(1)} ms`,
    edge.p99Ms === undefined ? '-' : `${edge.p99Ms.toFixed(1)} ms`,
  ];
}
