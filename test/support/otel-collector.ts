/** Runs OpenTelemetry's collector (test/support/otel-collector, built with Go by .ci/run) and reads back what it took. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { freePort, startGuarded, untilListening } from './guarded-process.ts';
import { missingFor } from './lab.ts';

const PROGRAM = 'otel-collector';
/** Where `.ci/run` puts it. */
const PATH = `${process.env.PATH}:${join(homedir(), '.cache/tulle/bin')}`;

/** Why it cannot run here. It is built with Go: where Go is, a CI run must have it. */
export function missingCollector(): string | undefined {
  if (Bun.which('go') !== null || process.env.CI === undefined)
    return missingFor({ programs: [PROGRAM], path: PATH });
  if (Bun.which(PROGRAM, { PATH }) !== null) return undefined;
  process.stderr.write('SKIPPED, neither the collector nor go is installed\n');
  return 'no go';
}

/** As the collector decoded it, in OTLP's JSON. */
export interface TakenSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

export interface TakenLog {
  readonly service: string;
  readonly body: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

export interface Taken {
  spans(): readonly TakenSpan[];
  logs(): readonly TakenLog[];
  /** Resource attributes that came, one object a resource. */
  resources(): readonly Readonly<Record<string, string | number | boolean>>[];
  /** Waits until it is true of what came. */
  until(condition: (taken: Taken) => boolean): Promise<void>;
}

export interface Collector extends Taken, AsyncDisposable {
  readonly grpcPort: number;
  readonly httpPort: number;
}

const STEP_MS = 50;
const STEPS_MAX = 400;

export async function startCollector(): Promise<Collector> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-otel-'));
  const address = '127.0.0.1';
  const grpcPort = await freePort();
  const httpPort = await freePort();
  const child = await startGuarded(prepareCollector(folder, { address, grpcPort, httpPort }));
  await untilListening(httpPort);
  return {
    ...readCollector(folder),
    grpcPort,
    httpPort,
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Writes its configuration into the folder; the command that runs it. */
export function prepareCollector(
  folder: string,
  listen: { readonly address: string; readonly grpcPort: number; readonly httpPort: number },
): string[] {
  const config = join(folder, 'config.yaml');
  writeFileSync(config, configOf({ ...listen, out: join(folder, OUT) }));
  return [Bun.which(PROGRAM, { PATH }) ?? PROGRAM, '--config', config];
}

const OUT = 'out.json';

/** What a collector with that folder has taken so far. */
export function readCollector(folder: string): Taken {
  const out = join(folder, OUT);
  const lines = () =>
    existsSync(out)
      ? readFileSync(out, 'utf8')
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as Line)
      : [];
  const taken: Taken = {
    spans: () => lines().flatMap(spansIn),
    logs: () => lines().flatMap(logsIn),
    resources: () =>
      lines().flatMap(({ resourceSpans = [] }) =>
        resourceSpans.map(({ resource }) => flat(resource.attributes)),
      ),
    async until(condition) {
      for (let step = 0; step < STEPS_MAX; step++) {
        if (condition(taken)) return;
        await sleep(systemClock, STEP_MS);
      }
      const found = JSON.stringify({ spans: taken.spans(), logs: taken.logs() }, null, 1);
      throw new Error(
        `the collector did not get what was waited for, but ${found}`.slice(0, 20_000),
      );
    },
  };
  return taken;
}

function configOf(of: { address: string; grpcPort: number; httpPort: number; out: string }) {
  const endpoint = (port: number) => ({ endpoint: `${of.address}:${port}` });
  const pipeline = { receivers: ['otlp'], exporters: ['file'] };
  return JSON.stringify({
    receivers: {
      otlp: { protocols: { grpc: endpoint(of.grpcPort), http: endpoint(of.httpPort) } },
    },
    exporters: { file: { path: of.out, flush_interval: '50ms' } },
    service: {
      telemetry: { metrics: { level: 'none' }, logs: { level: 'error' } },
      pipelines: { traces: pipeline, logs: pipeline },
    },
  });
}

interface Attribute {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly boolValue?: boolean;
    readonly intValue?: string;
    readonly doubleValue?: number;
  };
}
interface Resourced {
  readonly resource: { readonly attributes?: readonly Attribute[] };
}
interface RawSpan extends Omit<TakenSpan, 'service' | 'attributes' | 'links'> {
  readonly attributes?: readonly Attribute[];
  readonly links?: TakenSpan['links'];
}
interface RawLog {
  readonly body: { readonly stringValue?: string };
  readonly traceId?: string;
  readonly spanId?: string;
  readonly attributes?: readonly Attribute[];
}
interface Line {
  readonly resourceSpans?: readonly (Resourced & {
    readonly scopeSpans: readonly { readonly spans: readonly RawSpan[] }[];
  })[];
  readonly resourceLogs?: readonly (Resourced & {
    readonly scopeLogs: readonly { readonly logRecords: readonly RawLog[] }[];
  })[];
}

function spansIn({ resourceSpans = [] }: Line): TakenSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map((span) => ({
        ...span,
        service: String(flat(resource.attributes)['service.name']),
        attributes: flat(span.attributes),
        links: span.links ?? [],
      })),
  );
}

function logsIn({ resourceLogs = [] }: Line): TakenLog[] {
  return resourceLogs.flatMap(({ resource, scopeLogs }) =>
    scopeLogs
      .flatMap(({ logRecords }) => logRecords)
      .map(({ body, traceId = '', spanId = '', attributes }) => ({
        service: String(flat(resource.attributes)['service.name']),
        body: body.stringValue ?? '',
        traceId,
        spanId,
        attributes: flat(attributes),
      })),
  );
}

function flat(attributes: readonly Attribute[] = []): Record<string, string | number | boolean> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ??
        value.boolValue ??
        value.doubleValue ??
        (value.intValue === undefined ? '' : Number(value.intValue)),
    ]),
  );
}
