/**
 * Compiles the CEL rules of a schema once and evaluates them. A rule that does not parse, or that names an unknown
 * variable or function, is refused when the CRD is created; types are checked as the rule runs.
 */

import { type CelInput, celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { messageOf } from '#base/errors.ts';
import { CEL_EXPRESSION_CHARS_MAX } from '../limits.ts';
import { compilePattern } from '../pattern.ts';
import type { ValidationRule } from '../schema.ts';
import { KUBERNETES_FUNCTIONS } from './library.ts';

export interface CompiledRule {
  /** A transition rule: runs on updates only. */
  usesOldSelf: boolean;
  /** True, false, or why it could not be decided. */
  holds(self: CelInput, oldSelf: CelInput | undefined): boolean | { error: string };
  /** The message to show when it does not hold. */
  message(self: CelInput, oldSelf: CelInput | undefined): string;
}

export interface RuleError {
  error: string;
  in: 'rule' | 'messageExpression';
}

type Program = (bindings: Record<string, CelInput>) => unknown;

const compiled = new WeakMap<ValidationRule, CompiledRule | RuleError>();
let environment: ReturnType<typeof celEnv> | undefined;

/** The environment costs milliseconds, so it is built with the first rule. */
function env(): ReturnType<typeof celEnv> {
  environment ??= celEnv({ funcs: [...KUBERNETES_FUNCTIONS], re2: { compile: compilePattern } });
  return environment;
}

export function compileRule(rule: ValidationRule): CompiledRule | RuleError {
  const known = compiled.get(rule);
  if (known !== undefined) return known;
  const built = build(rule);
  compiled.set(rule, built);
  return built;
}

function build(rule: ValidationRule): CompiledRule | RuleError {
  const program = compileProgram(rule.rule);
  if ('error' in program) return { error: program.error, in: 'rule' };
  const words =
    rule.messageExpression === undefined ? undefined : compileProgram(rule.messageExpression);
  if (words !== undefined && 'error' in words)
    return { error: words.error, in: 'messageExpression' };
  const fallback = rule.message ?? `failed rule: ${rule.rule.trim()}`;
  return {
    usesOldSelf: program.names.has('oldSelf'),
    holds(self, oldSelf) {
      const result = program.run(bind(self, oldSelf));
      if (typeof result === 'boolean') return result;
      const reason = isCelError(result) ? result.message : 'rule did not evaluate to a bool';
      return { error: `${reason} evaluating rule: ${fallback}` };
    },
    message(self, oldSelf) {
      const text = words?.run(bind(self, oldSelf));
      return typeof text === 'string' && text.trim() !== '' ? text.trim() : fallback;
    },
  };
}

function bind(self: CelInput, oldSelf: CelInput | undefined): Record<string, CelInput> {
  return oldSelf === undefined ? { self } : { self, oldSelf };
}

function compileProgram(source: string): { run: Program; names: Set<string> } | { error: string } {
  if (source.length > CEL_EXPRESSION_CHARS_MAX) {
    return { error: `longer than ${CEL_EXPRESSION_CHARS_MAX} characters` };
  }
  try {
    const tree = parse(source);
    const names = new Set<string>();
    const unknown = findUnknown(tree.expr, names);
    if (unknown !== undefined) return { error: unknown };
    return { run: plan(env(), tree) as Program, names };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

const GLOBALS = new Set(
  'self oldSelf int uint double bool string bytes list map null_type type sets strings google math base64'.split(
    ' ',
  ),
);

const knownFunctions = new Set<string>(
  `size contains startsWith endsWith matches int uint double bool string bytes timestamp duration dyn type
   getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMilliseconds getMinutes getMonth getSeconds
   not_strictly_false quote equivalent intersects`.split(/\s+/),
);
for (const func of KUBERNETES_FUNCTIONS) knownFunctions.add(func.name);

/** Walks the parsed tree; operators have names that no user can write (`_+_`, `@in`). */
function findUnknown(tree: unknown, names: Set<string>): string | undefined {
  const bound = new Set<string>();
  const queue: unknown[] = [tree];
  const idents: string[] = [];
  while (queue.length > 0) {
    const node = queue.pop();
    if (typeof node !== 'object' || node === null) continue;
    const kind = (node as { exprKind?: { case?: string; value?: Record<string, unknown> } })
      .exprKind;
    if (kind?.case === 'identExpr') idents.push(String(kind.value?.name));
    if (kind?.case === 'comprehensionExpr') {
      for (const name of ['iterVar', 'iterVar2', 'accuVar']) bound.add(String(kind.value?.[name]));
    }
    if (kind?.case === 'callExpr') {
      const name = String(kind.value?.function);
      if (/^[A-Za-z]\w*$/.test(name) && !knownFunctions.has(name)) {
        return `undeclared reference to '${name}' (in container '')`;
      }
    }
    queue.push(...Object.values(node));
  }
  for (const name of idents) {
    names.add(name);
    if (!bound.has(name) && !GLOBALS.has(name)) {
      return `undeclared reference to '${name}' (in container '')`;
    }
  }
  return undefined;
}
