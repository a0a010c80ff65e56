/**
 * Templates of access logs: Envoy's command operators in a line of text or in a JSON structure. Compiled once with the settings to
 * functions; the path reads facts and joins strings. What is not known is a finding at the control plane and stays literal here.
 * Source: Envoy's documentation, "Access logging", "Command operators".
 */
import { formatTime } from '../route/header-format.ts';
import type { JsonTemplate, JsonTemplateValue } from './settings.ts';

/** Operators without argument; those that are numbers in JSON come first. */
const NUMBERS = [
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'DURATION',
  'GRPC_STATUS_NUMBER',
  'RESPONSE_CODE',
  'RESPONSE_DURATION',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'UPSTREAM_REMOTE_PORT',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
] as const;
const TEXTS = [
  'CONNECTION_TERMINATION_DETAILS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_PEER_URI_SAN',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'GRPC_STATUS',
  'HOSTNAME',
  'PROTOCOL',
  'REQUESTED_SERVER_NAME',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_FLAGS',
  'ROUTE_NAME',
  'SPAN_ID',
  'TRACE_ID',
  'TULLE_NOTE',
  'TULLE_POLICY',
  'TULLE_ROUTE',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_HOST',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
] as const;
export type LogOperator = (typeof NUMBERS)[number] | (typeof TEXTS)[number];

const NUMERIC: ReadonlySet<string> = new Set(NUMBERS);
const KNOWN: ReadonlySet<string> = new Set([...NUMBERS, ...TEXTS]);
const isOperator = (name: string): name is LogOperator => KNOWN.has(name);

/** A request or connection that is over. Undefined: it has no such thing. */
export interface LogFacts {
  value(operator: LogOperator): string | number | undefined;
  header(of: 'request' | 'response' | 'trailer', name: string): string | undefined;
  environment(name: string): string | undefined;
  readonly startMs: number;
}

/** One operator, or a piece of literal text. */
interface Part {
  readonly isNumber: boolean;
  read(facts: LogFacts): string | number | undefined;
}

const OPERATOR = /%(?:%|([A-Z_]+)(?:\(((?:[^()]|\([^()]*\))*)\))?(?::(\d+))?%)/y;

/** The pieces of a template: literal text and operators; or what is wrong with it, as a part of a sentence. */
function parse(text: string): (string | Part)[] | { readonly problem: string } {
  const parts: (string | Part)[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    const percent = text.indexOf('%', at);
    if (percent === -1) break;
    literal += text.slice(at, percent);
    OPERATOR.lastIndex = percent;
    const found = OPERATOR.exec(text);
    if (found === null) {
      return { problem: `the % at position ${percent} begins no operator: write %% for a percent` };
    }
    at = OPERATOR.lastIndex;
    const part = found[0] === '%%' ? '%' : partOf(found[1], found[2], found[3]);
    if (part === undefined) return { problem: `operator ${found[0]} is not known` };
    if (typeof part === 'string') literal += part;
    else {
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(part);
    }
  }
  literal += text.slice(at);
  if (literal !== '') parts.push(literal);
  return parts;
}

const HEADERS: Readonly<Record<string, 'request' | 'response' | 'trailer'>> = {
  REQ: 'request',
  REQUEST_HEADER: 'request',
  REQ_WITHOUT_QUERY: 'request',
  RESP: 'response',
  RESPONSE_HEADER: 'response',
  TRAILER: 'trailer',
};

function partOf(name: string, argument: string | undefined, length?: string): Part | undefined {
  const charsMax = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  if (name === 'START_TIME') {
    return { isNumber: false, read: ({ startMs }) => formatTime(startMs, argument ?? '') };
  }
  if (name === 'ENVIRONMENT' && argument)
    return { isNumber: false, read: (facts) => cut(facts.environment(argument), charsMax) };
  const of = HEADERS[name];
  if (of !== undefined) return argument ? headerPart(name, of, argument, charsMax) : undefined;
  if (argument !== undefined || !isOperator(name)) return undefined;
  return { isNumber: NUMERIC.has(name), read: (facts) => cut(facts.value(name), charsMax) };
}

function headerPart(
  operator: string,
  of: 'request' | 'response' | 'trailer',
  argument: string,
  charsMax: number,
): Part {
  const [name, otherwise] = argument.toLowerCase().split('?');
  const withoutQuery = operator === 'REQ_WITHOUT_QUERY';
  return {
    isNumber: false,
    read(facts) {
      const value = facts.header(of, name) ?? (otherwise ? facts.header(of, otherwise) : undefined);
      return cut(withoutQuery ? value?.replace(/\?.*$/s, '') : value, charsMax);
    },
  };
}

function cut(value: string | number | undefined, charsMax: number): string | number | undefined {
  return typeof value === 'string' && value.length > charsMax ? value.slice(0, charsMax) : value;
}

/** What is wrong with a template, as a part of a sentence; undefined: nothing. */
export function logTemplateProblem(template: string): string | undefined {
  const parts = parse(template);
  return 'problem' in parts ? parts.problem : undefined;
}

export function jsonTemplateProblem(template: JsonTemplateValue): string | undefined {
  if (typeof template === 'string') return logTemplateProblem(template);
  if (typeof template !== 'object' || template === null) return undefined;
  for (const [key, value] of Object.entries(template)) {
    const problem = jsonTemplateProblem(value as JsonTemplateValue);
    if (problem !== undefined) return `${key}: ${problem}`;
  }
  return undefined;
}

export interface LogTemplateOptions {
  /** Nothing, instead of `-`, for what is not there; members of JSON without value are left out. */
  readonly omitsEmpty: boolean;
  /** Makes text from outside fit for a line: no line breaks, bounded. */
  readonly clean: (text: string) => string;
}

export type LogFormatter = (facts: LogFacts) => string;

/** A line, its end included where the template has none. */
export function compileTextTemplate(template: string, options: LogTemplateOptions): LogFormatter {
  const render = textRenderer(template, options);
  return (facts) => {
    const line = render(facts);
    return line.endsWith('\n') ? line : `${line}\n`;
  };
}

/** The text of a template that is no line of its own: an attribute. */
export function textRenderer(template: string, options: LogTemplateOptions): LogFormatter {
  const parts = parse(template);
  if ('problem' in parts) return () => template;
  const { clean } = options;
  const missing = options.omitsEmpty ? '' : '-';
  return (facts) => {
    let text = '';
    for (const part of parts) {
      if (typeof part === 'string') {
        text += part;
        continue;
      }
      const value = part.read(facts);
      if (typeof value === 'number') text += value;
      else text += value === undefined || value === '' ? missing : clean(value);
    }
    return text;
  };
}

/** One JSON object a line. A value that is one operator keeps its type; without value it is null. */
export function compileJsonTemplate(
  template: JsonTemplate,
  options: LogTemplateOptions,
): LogFormatter {
  const render = jsonValue(template, options);
  return (facts) => `${render(facts) ?? '{}'}\n`;
}

/** JSON text; undefined: there is nothing to say. */
type JsonRenderer = (facts: LogFacts) => string | undefined;

function jsonValue(template: JsonTemplateValue, options: LogTemplateOptions): JsonRenderer {
  if (typeof template === 'string') return jsonText(template, options);
  if (Array.isArray(template)) {
    const items = template.map((each: JsonTemplateValue) => jsonValue(each, options));
    return (facts) => `[${items.map((item) => item(facts) ?? 'null').join()}]`;
  }
  if (typeof template !== 'object' || template === null) {
    const text = JSON.stringify(template);
    return () => text;
  }
  const members = Object.entries(template).map(
    ([key, value]) => [`${JSON.stringify(key)}:`, jsonValue(value, options)] as const,
  );
  return (facts) => {
    let text = '';
    for (const [key, value] of members) {
      const rendered = value(facts);
      if (rendered === undefined && options.omitsEmpty) continue;
      text += `${text === '' ? '' : ','}${key}${rendered ?? 'null'}`;
    }
    return `{${text}}`;
  };
}

function jsonText(template: string, options: LogTemplateOptions): JsonRenderer {
  const parts = parse(template);
  if (
    'problem' in parts ||
    parts.length === 0 ||
    typeof parts[0] === 'string' ||
    parts.length > 1
  ) {
    const render = textRenderer(template, options);
    return (facts) => JSON.stringify(render(facts));
  }
  const [only] = parts;
  const { clean } = options;
  return (facts) => {
    const value = only.read(facts);
    if (value === undefined || value === '') return undefined;
    return only.isNumber ? String(value) : JSON.stringify(clean(String(value)));
  };
}
