/** The telemetry stream of a node proxy, on the connection of its discovery. */
import { VERSION } from '#base/version.ts';
import { WORKER_LEAD_MS } from '#telemetry/flow/limits.ts';
import { type Reporter, startReporter } from '#telemetry/report/reporter.ts';
import { REPORT_METHOD } from '#wire/protobuf/telemetry.ts';
import type { ControlTransport } from '#xds/client/grpc-transport.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';
import type { Assembly } from './assemble.ts';

/** `proxy`: `namespace/name` of our pod. */
export function reportNode(
  { context, spans }: Assembly,
  control: { xds: XdsClient; transport: ControlTransport },
  proxy: string,
): Reporter {
  const { clock, random, log, telemetry, workers } = context;
  const reporter = startReporter(
    {
      clock,
      random,
      log: log.child('report'),
      book: telemetry.flows,
      open: (handler) => control.transport.stream(REPORT_METHOD, handler),
    },
    {
      proxy,
      version: VERSION,
      lateMs: workers === undefined ? 0 : WORKER_LEAD_MS,
      onTaps: (filters) => workers?.setTaps(filters),
    },
  );
  telemetry.report = reporter.report;
  workers?.onOffered((offered) => reporter.report.relay(offered));
  spans.add(reporter.report);
  control.xds.onConnection((connected) => reporter.connected(connected));
  return reporter;
}
