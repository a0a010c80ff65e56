/** Lines of an application and records of the mesh on one time axis. Pure. */
import type { LogLine } from '../api/lists.ts';
import type { RequestRow } from '../api/traffic.ts';

const TIMESTAMP = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z) ?(.*)$/s;
const TRACE_ID = /(?:trace[_-]?id|traceparent)["']?\s*[:=]\s*["']?(?:00-)?([0-9a-f]{32})\b/i;
const LINE_CHARACTERS_MAX = 16_384;

/** As the kubelet writes it: time, space, line. */
export function parseLogLine(line: string, container: string): LogLine {
  const [, at = '', text = line] = TIMESTAMP.exec(line) ?? [];
  const traceId = TRACE_ID.exec(text)?.[1]?.toLowerCase();
  return {
    at,
    from: 'application',
    text: text.slice(0, LINE_CHARACTERS_MAX),
    container,
    ...(traceId !== undefined && { traceId }),
  };
}

/** One of the two ends is at the address; without one all of the workload's are taken. */
export function mentions({ sourceAddress, destinationAddress }: RequestRow, ip: string): boolean {
  if (ip === '') return true;
  const isAt = (address: string) =>
    address === ip || address.startsWith(`${ip}:`) || address.startsWith(`[${ip}]:`);
  return isAt(sourceAddress) || isAt(destinationAddress);
}

export function requestLine(row: RequestRow): LogLine {
  return {
    at: row.at,
    from: 'mesh',
    text: requestText(row),
    ...(row.traceId !== '' && { traceId: row.traceId }),
  };
}

/** `GET /cart 200 3.2 ms  workload/shop/web → workload/shop/cart  UF reason`. */
export function requestText(row: RequestRow): string {
  const what =
    row.protocol === 'http' || row.protocol === 'grpc'
      ? `${row.method} ${row.authority}${row.path} ${row.status === 0 ? 'no answer' : row.status}`
      : `${row.protocol} ${row.service || row.destinationAddress} ${row.requestBytes} B out, ${row.responseBytes} B in`;
  const grpc = row.protocol === 'grpc' && row.grpcStatus !== '' ? ` grpc ${row.grpcStatus}` : '';
  const flags = row.flags === '-' || row.flags === '' ? '' : ` ${row.flags}`;
  const reason = row.reason === '' ? '' : `: ${row.reason}`;
  return `${what}${grpc} ${row.durationMs.toFixed(1)} ms, ${row.source} → ${row.destination}${flags}${reason}`;
}

/** The youngest `limit`, by time; lines of one moment stay in their order. */
export function joinLines(
  lines: readonly LogLine[],
  limit: number,
): { lines: LogLine[]; isCut: boolean } {
  const sorted = [...lines].sort((left, right) =>
    left.at < right.at ? -1 : left.at > right.at ? 1 : 0,
  );
  return { lines: sorted.slice(-limit), isCut: sorted.length > limit };
}
