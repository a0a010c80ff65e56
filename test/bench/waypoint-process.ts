/**
 * A static waypoint (waypoint/static-mode.ts) whose telemetry is given beside its file, as a list of settings: `bun waypoint-process.ts CONFIG SETTINGS`.
 * The first are in force; with each signal (NEXT_VARIANT) the next, and after the last the first.
 */
import { readFileSync } from 'node:fs';
import type { TelemetrySettings } from '#model/telemetry/settings.ts';
import { readStaticConfig } from '#waypoint/config/static-file.ts';
import { ProxyTelemetry } from '#waypoint/config/telemetry.ts';
import { listenPlain } from '#waypoint/listener/plain-listener.ts';
import { createBase, createRuntime } from '#waypoint/runtime.ts';
import { selfNamed } from '#waypoint/tracing/proxy-self.ts';
import { plainTransport } from '#waypoint/transport/transport.ts';
import { NEXT_VARIANT } from './waypoint-signal.ts';

const [file = '', settingsFile = ''] = process.argv.slice(2);
const config = readStaticConfig(file);
const variants = JSON.parse(readFileSync(settingsFile, 'utf8')) as TelemetrySettings[];
const base = createBase('info');
const self = selfNamed('static/waypoint', {
  name: 'waypoint',
  namespace: 'static',
  cluster: 'static',
});
const runtime = createRuntime(base, {
  transport: plainTransport(base.network),
  accessLog: config.accessLog,
  cluster: 'static',
  self: () => self,
});
const telemetries = variants.map((settings) => {
  const scoped = { scope: 'bench', server: settings, client: settings };
  return new ProxyTelemetry(scoped, 'server');
});
let variant = 0;
const configure = () =>
  runtime.engine.configure({ ...config.input, telemetry: telemetries[variant] });
process.on(NEXT_VARIANT, () => {
  variant = (variant + 1) % telemetries.length;
  configure();
});
configure();
listenPlain(runtime, config);
