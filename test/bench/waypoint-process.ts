/** A static waypoint (waypoint/static-mode.ts) whose telemetry is given beside its file: `bun waypoint-process.ts CONFIG SETTINGS`. */
import { readFileSync } from 'node:fs';
import type { TelemetrySettings } from '#model/telemetry/settings.ts';
import { readStaticConfig } from '#waypoint/config/static-file.ts';
import { ProxyTelemetry } from '#waypoint/config/telemetry.ts';
import { listenPlain } from '#waypoint/listener/plain-listener.ts';
import { createBase, createRuntime } from '#waypoint/runtime.ts';
import { selfNamed } from '#waypoint/tracing/proxy-self.ts';
import { plainTransport } from '#waypoint/transport/transport.ts';

const [file = '', settingsFile = ''] = process.argv.slice(2);
const config = readStaticConfig(file);
const settings = JSON.parse(readFileSync(settingsFile, 'utf8')) as TelemetrySettings;
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
const scoped = { scope: 'bench', server: settings, client: settings };
const telemetry = new ProxyTelemetry(scoped, 'server');
runtime.engine.configure({ ...config.input, telemetry });
listenPlain(runtime, config);
