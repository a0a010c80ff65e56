/** Traffic, request by request: live, recent, failed, denied, slowest; and traces. `/traffic/traces/{id}` is one trace. */
import type { PageProps } from '../../frame/routes.ts';
import { TracePage } from './trace-page.tsx';
import { TrafficPage } from './traffic-page.tsx';

export default function TrafficRoute({ segments }: PageProps) {
  return segments[0] === 'traces' && segments[1] !== undefined ? (
    <TracePage traceId={segments[1]} />
  ) : (
    <TrafficPage />
  );
}
