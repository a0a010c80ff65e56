/**
 * The trace of one request at one hop: begun when its head is there, read when it is over. A request that is not sampled costs the
 * reading of its head and, where it came without a trace, new ids in it.
 */
import type { Random } from '#base/random.ts';
import {
  type ExtractedTrace,
  extractTrace,
  FORM_W3C,
  injectTrace,
  type TraceFields,
} from './propagation.ts';
import { decideSampling, markSampled } from './sampling.ts';
import { formatTraceparent, type TraceContext } from './trace-context.ts';
import type { CompiledTracing } from './tracing-rules.ts';

export interface TraceRules {
  /** 0 to 100; 0 where spans are not reported. */
  readonly samplingPercent: number;
  /** The decision is taken from and put into x-request-id. */
  readonly usesRequestId: boolean;
  /** Trace headers end here. */
  readonly stopsContext: boolean;
  /** Spans are made; else a trace passes through as it came. */
  readonly reports: boolean;
}

export class RequestTrace {
  readonly traceId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly sampled: boolean;
  /** It is sampled, and spans are made here. */
  readonly records: boolean;
  /** Of the head, and of what goes on. */
  readonly forms: number;
  /** In force when it began. */
  readonly rules: CompiledTracing;
  readonly #random: Random;
  #spanId: string;

  constructor(of: {
    traceId: string;
    spanId: string;
    parentSpanId: string;
    sampled: boolean;
    rules: CompiledTracing;
    traceState: string;
    forms: number;
    random: Random;
  }) {
    this.traceId = of.traceId;
    this.parentSpanId = of.parentSpanId;
    this.traceState = of.traceState;
    this.sampled = of.sampled;
    this.rules = of.rules;
    this.records = of.sampled && of.rules.reports;
    this.forms = of.forms;
    this.#spanId = of.spanId;
    this.#random = of.random;
  }

  /** Of the span for the hop as a whole; most requests never need one. */
  get spanId(): string {
    if (this.#spanId === '') this.#spanId = newSpanId(this.#random);
    return this.#spanId;
  }

  /** For exemplars: empty when nobody will find a trace under it. */
  get exemplar(): string {
    return this.sampled ? this.traceId : '';
  }

  /** Where it can be looked up when it is over: failures are recorded though they were not sampled. */
  found(hasFailed: boolean): { readonly traceId: string; readonly spanId: string } {
    const isRecorded = this.records || (hasFailed && this.rules.reports);
    return isRecorded ? { traceId: this.traceId, spanId: this.spanId } : NOWHERE;
  }

  /** For what is sent on; '' when nothing is to be recorded. */
  childId(): string {
    return this.records ? newSpanId(this.#random) : '';
  }

  /** Who gets the head is a child of that span. Without one it stays as it is. */
  tell(head: TraceFields, spanId: string): void {
    const { traceId, forms } = this;
    if (spanId !== '') injectTrace(head, { traceId, spanId, sampled: true }, forms);
  }
}

const NOWHERE = { traceId: '', spanId: '' };

export interface TraceBeginning {
  readonly head: TraceFields;
  readonly rules: CompiledTracing;
  readonly random: Random;
  /** Of the connection, where the request is its first: a request that knows no better belongs to it. */
  readonly connection?: TraceContext;
  /** `x-request-id` of the head. */
  readonly requestId?: string;
}

/**
 * Changes the head: what is malformed goes, a trace that begins here is told, x-request-id says that it is sampled. Undefined: it came
 * without a trace, and none begins where no spans are made; who comes behind decides for himself.
 */
export function beginTrace(of: TraceBeginning): RequestTrace | undefined {
  const { head, rules, random, connection } = of;
  const came = extractTrace(head);
  const { context, traceState } = came;
  // A context that was decided on goes on as it came, unless the request is sampled: then each try tells its own span.
  if (context?.sampled !== undefined) {
    if (rules.stopsContext) strip(head, came);
    return new RequestTrace({
      traceId: context.traceId,
      spanId: '',
      parentSpanId: context.spanId,
      sampled: context.sampled,
      rules,
      traceState,
      forms: rules.stopsContext ? 0 : came.forms,
      random,
    });
  }
  const follows = came.sampled === undefined && connection?.sampled === true;
  const parent = context ?? (follows ? connection : undefined);
  if (parent === undefined && came.sampled === undefined && !rules.reports) return undefined;
  const sampled = decide(of, came.sampled ?? parent?.sampled);
  const traceId = parent?.traceId ?? newTraceId(random);
  const spanId = newSpanId(random);
  const forms = rules.stopsContext ? 0 : came.forms || FORM_W3C;
  if (rules.stopsContext) strip(head, came);
  // There is none to be replaced.
  else if (came.forms === 0)
    head.addPlain('traceparent', formatTraceparent({ traceId, spanId, sampled }));
  else injectTrace(head, { traceId, spanId, sampled }, forms);
  return new RequestTrace({
    traceId,
    spanId,
    parentSpanId: parent?.spanId ?? '',
    sampled,
    rules,
    traceState,
    forms,
    random,
  });
}

/** For a connection of bytes: it follows the tunnel that it came in, else chance. It has no head to be told in. */
export function beginConnectionTrace({
  parent,
  rules,
  random,
}: {
  readonly parent: TraceContext | undefined;
  readonly rules: CompiledTracing;
  readonly random: Random;
}): RequestTrace {
  const sampled = parent?.sampled ?? random.fraction() * 100 < rules.samplingPercent;
  return new RequestTrace({
    traceId: parent?.traceId ?? newTraceId(random),
    spanId: '',
    parentSpanId: parent?.spanId ?? '',
    sampled,
    rules,
    traceState: '',
    forms: 0,
    random,
  });
}

function decide(
  { head, rules, random, requestId: id }: TraceBeginning,
  parent: boolean | undefined,
): boolean {
  const requestId = rules.usesRequestId ? id : undefined;
  const { sampled, reason } = decideSampling({
    parent,
    isForced: head.get('x-envoy-force-trace') !== undefined,
    requestId,
    percent: rules.samplingPercent,
    fraction: random.fraction(),
  });
  if (sampled && requestId !== undefined && reason !== 'parent') {
    const marked = markSampled(requestId);
    if (marked !== requestId) head.set('x-request-id', marked);
  }
  return sampled;
}

function strip(head: TraceFields, { forms }: ExtractedTrace): void {
  if (forms === 0) return;
  for (const name of TRACE_FIELDS) head.remove(name);
}

const TRACE_FIELDS = [
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
];

export function newTraceId(random: Random): string {
  return random.hex(32);
}

export function newSpanId(random: Random): string {
  return random.hex(16);
}
