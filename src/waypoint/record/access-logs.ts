/**
 * The access log as the settings in force want it: for each output a format, a filter and a place. Compiled once for each settings object;
 * a request that nobody logs costs a look-up.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Attributes } from '#model/telemetry/expression/attributes.ts';
import { compileFilter } from '#model/telemetry/expression/evaluate.ts';
import {
  compileJsonTemplate,
  compileTextTemplate,
  type LogFormatter,
  textRenderer,
} from '#model/telemetry/log-template.ts';
import type {
  AccessLogFormatSetting,
  AccessLogOutput,
  AccessLogSettings,
} from '#model/telemetry/settings.ts';
import { anyValue, idBytes, keyValues } from '#otlp/encode.ts';
import type { OtlpExporters } from '#otlp/exporters.ts';
import { FileOutput } from '#telemetry/access-log/file-output.ts';
import { type AccessLogFormat, clean, cut, formatAccess } from '#telemetry/access-log/format.ts';
import { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { putAccess } from '#telemetry/access-log/put-access.ts';
import type { AccessRecord } from '#telemetry/access-log/record.ts';
import type { Family, MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Counter } from '#telemetry/metrics/series.ts';
import type { ProxySelf } from '../tracing/proxy-self.ts';
import { serviceNameOf } from '../tracing/proxy-self.ts';
import { type LogSource, RunLogFacts } from './run-log-facts.ts';

export interface AccessLogDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: MetricRegistry;
  readonly exporters: OtlpExporters;
  readonly self: () => ProxySelf;
}

/** What one line is made of. */
export interface LogEntry {
  readonly record: AccessRecord;
  readonly source: LogSource;
  readonly attributes: Attributes;
}

interface CompiledOutput {
  readonly passes: ((attributes: Attributes) => boolean) | undefined;
  write(entry: LogEntry): void;
}

const STDOUT = '/dev/stdout';

export class AccessLogs {
  /** Of the process itself. */
  readonly #standard: LogWriter;
  readonly #format: AccessLogFormat;
  /** Undefined: whatever is asked for goes to the standard output. */
  readonly #deps: AccessLogDeps | undefined;
  readonly #compiled = new WeakMap<AccessLogSettings, readonly CompiledOutput[]>();
  /** Of the last request: most that follow have the same. */
  #lastSettings: AccessLogSettings | undefined = undefined;
  #lastOutputs: readonly CompiledOutput[] = [];
  readonly #files = new Map<string, { output: FileOutput; writer: LogWriter }>();
  readonly #facts = new RunLogFacts(process.env);
  readonly #dropped: Family<Counter> | undefined;

  constructor(standard: LogWriter, format: AccessLogFormat, deps: AccessLogDeps | undefined) {
    this.#standard = standard;
    this.#format = format;
    this.#deps = deps;
    this.#dropped = deps?.registry.counter({
      name: 'tulle_access_log_dropped_lines_total',
      help: 'Access log lines that their output did not take fast enough.',
      labels: ['output'],
    });
    deps?.registry.onCollect(() => this.#count());
  }

  /** Nothing to do where it is empty. */
  outputs(settings: AccessLogSettings): readonly CompiledOutput[] {
    if (settings === this.#lastSettings) return this.#lastOutputs;
    let outputs = this.#compiled.get(settings);
    if (outputs === undefined) {
      outputs = settings.outputs.map((output) => this.#compile(output));
      this.#compiled.set(settings, outputs);
    }
    this.#lastSettings = settings;
    this.#lastOutputs = outputs;
    return outputs;
  }

  write(outputs: readonly CompiledOutput[], entry: LogEntry): void {
    for (const output of outputs) {
      if (output.passes === undefined || output.passes(entry.attributes)) output.write(entry);
    }
  }

  /** Files that nothing in force writes to are closed. */
  retain(settings: Iterable<AccessLogSettings>): void {
    const wanted = new Set(
      [...settings].flatMap(({ outputs }) =>
        outputs.flatMap(({ sink }) => (sink.kind === 'file' ? [sink.path] : [])),
      ),
    );
    for (const [path, { output, writer }] of this.#files) {
      if (wanted.has(path)) continue;
      writer.flush();
      output.close();
      this.#files.delete(path);
    }
  }

  /** Somebody moved the files away. */
  reopen(): void {
    for (const { output } of this.#files.values()) output.reopen();
  }

  flush(): void {
    this.#standard.flush();
    for (const { writer } of this.#files.values()) writer.flush();
  }

  #compile({ provider, sink, format, filter, omitsEmpty }: AccessLogOutput): CompiledOutput {
    const passes = filter && compileFilter(filter);
    if (sink.kind === 'otlp' && this.#deps !== undefined) {
      const write = this.#otlpWriter(this.#deps, { name: provider, sink, format, omitsEmpty });
      return { passes, write };
    }
    const writeTo = this.#lineWriter(format, omitsEmpty === true);
    const deps = this.#deps;
    if (sink.kind === 'otlp' || sink.path === STDOUT || deps === undefined) {
      return { passes, write: (entry) => writeTo(this.#standard, entry) };
    }
    const { path } = sink;
    // The file is opened anew when it was closed in between.
    return { passes, write: (entry) => writeTo(this.#file(deps, path), entry) };
  }

  #lineWriter(
    format: AccessLogFormatSetting,
    omitsEmpty: boolean,
  ): (writer: LogWriter, entry: LogEntry) => void {
    if (format.kind === 'standard' && (format.encoding ?? this.#format) === 'text')
      return (writer, { record }) => writer.put(putAccess, record);
    const lineOf = this.#lineFormat(format, omitsEmpty);
    return (writer, entry) => writer.write(lineOf(entry));
  }

  #lineFormat(format: AccessLogFormatSetting, omitsEmpty: boolean): (entry: LogEntry) => string {
    if (format.kind === 'standard') {
      const encoding = format.encoding ?? this.#format;
      return ({ record }) => formatAccess(record, encoding);
    }
    const line = templateOf(format, omitsEmpty);
    return ({ record, source }) => line(this.#facts.about(record, source));
  }

  #file({ clock, log }: AccessLogDeps, path: string): LogWriter {
    const known = this.#files.get(path);
    if (known !== undefined) return known.writer;
    const output = new FileOutput(clock, path, {
      onTrouble(reason) {
        if (reason === undefined) log.info('the access log is written again', { path });
        else {
          const hint =
            'is the disk full, may this process write there? lines wait, then are dropped';
          log.warn('the access log cannot be written', { path, reason, hint });
        }
      },
    });
    const writer = new LogWriter(output);
    this.#files.set(path, { output, writer });
    return writer;
  }

  #otlpWriter(
    { exporters, self, clock }: AccessLogDeps,
    of: Pick<AccessLogOutput, 'format' | 'omitsEmpty'> & {
      name: string;
      sink: Extract<AccessLogOutput['sink'], { kind: 'otlp' }>;
    },
  ): (entry: LogEntry) => void {
    const { name, format, sink } = of;
    const to = { name, collector: sink.collector };
    const options = { omitsEmpty: of.omitsEmpty === true, clean: cut };
    const isOwn = format.kind === 'otlp';
    const body =
      isOwn && format.body !== undefined ? textRenderer(format.body, options) : undefined;
    const attributes = Object.entries(isOwn ? format.attributes : {}).map(
      ([key, template]) => [key, textRenderer(template, options)] as const,
    );
    const standard = isOwn ? undefined : this.#lineFormat(format, options.omitsEmpty);
    return (entry) => {
      const { record, source } = entry;
      const facts = this.#facts.about(record, source);
      const text =
        body?.(facts) ?? standard?.(entry).trimEnd() ?? formatAccess(record, 'text').trimEnd();
      const all = Object.fromEntries(attributes.map(([key, render]) => [key, render(facts)]));
      const who = self();
      const { trace } = source;
      exporters.log(
        to,
        { service: serviceNameOf(who, { semanticServiceName: false }), proxy: who.proxy },
        {
          timeUnixNano: BigInt(Math.floor(record.startMs)) * 1_000_000n,
          observedTimeUnixNano: BigInt(clock.wallTime()) * 1_000_000n,
          severityNumber: SEVERITY_INFO,
          severityText: 'INFO',
          body: anyValue(text),
          attributes: keyValues({ log_name: sink.logName, ...all }),
          traceId: idBytes(trace?.traceId ?? ''),
          spanId: idBytes(trace?.records === true ? trace.spanId : ''),
        },
      );
    };
  }

  #count(): void {
    const put = (name: string, writer: LogWriter) => {
      const counter = this.#dropped?.with([name]);
      if (counter !== undefined) counter.value = writer.droppedTotal;
    };
    put(STDOUT, this.#standard);
    for (const [path, { writer }] of this.#files) put(path, writer);
  }
}

/** OpenTelemetry's INFO. */
const SEVERITY_INFO = 9;

function templateOf(
  format: Exclude<AccessLogFormatSetting, { kind: 'standard' }>,
  omitsEmpty: boolean,
): LogFormatter {
  switch (format.kind) {
    case 'text':
      return compileTextTemplate(format.template, { omitsEmpty, clean });
    case 'json':
      // JSON escapes by itself.
      return compileJsonTemplate(format.fields, { omitsEmpty, clean: cut });
    case 'otlp':
      return compileTextTemplate(format.body ?? '', { omitsEmpty, clean });
  }
}
