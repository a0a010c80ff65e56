/** Findings of a Telemetry (telemetry.istio.io) by itself; the folder beside this file makes the proxies' settings of it. */
import type { Finding } from './finding.ts';
import { compileTelemetry } from './telemetry/compile.ts';
import type { TelemetryObject } from './telemetry/kinds.ts';

export type { TelemetryObject, TelemetrySpec } from './telemetry/kinds.ts';

export function judgeTelemetry(object: TelemetryObject): readonly Finding[] {
  return compileTelemetry(object).findings;
}
