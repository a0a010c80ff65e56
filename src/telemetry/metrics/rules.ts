/**
 * A Telemetry's changes to Istio's metrics, compiled: which are not counted, which labels they lose, get or have otherwise. Made once
 * for settings that came; what depends on the request is evaluated for it, and only where there is such a rule.
 */
import type { Attributes } from '#model/telemetry/expression/attributes.ts';
import { compileExpression, type Evaluate } from '#model/telemetry/expression/evaluate.ts';
import type { MetricKey, MetricsSettings, TagOverride } from '#model/telemetry/settings.ts';
import { LABEL_VALUE_CHARS_MAX } from '../limits.ts';
import { UNKNOWN } from './istio.ts';

/** Label names of one metric, and where the value of each comes from. */
export interface LabelRule {
  readonly names: readonly string[];
  /** Index of one of Istio's labels; for the others what they have. */
  readonly sources: readonly (number | LabelSource)[];
}

type LabelSource =
  | { readonly kind: 'fixed'; readonly value: string }
  /** Index into what `evaluate` gave. */
  | { readonly kind: 'asked'; readonly at: number };

const NOTHING: readonly string[] = [];

export class MetricRules {
  readonly #settings: MetricsSettings;
  readonly #asked: Evaluate[] = [];
  readonly #byText = new Map<string, number>();
  /** By metric, for the labels that it has by itself. */
  readonly #rules = new Map<MetricKey, Map<readonly string[], LabelRule>>();

  constructor(settings: MetricsSettings) {
    this.#settings = settings;
    for (const override of Object.values(settings.overrides)) {
      if (override.disabled || settings.disabled) continue;
      for (const tag of override.tags) this.#ask(tag);
    }
  }

  /** Whether anything depends on the request. */
  get asks(): boolean {
    return this.#asked.length > 0;
  }

  isDisabled(metric: MetricKey): boolean {
    const { disabled, overrides } = this.#settings;
    return disabled || overrides[metric]?.disabled === true;
  }

  /** What the labels that depend on the request have for this one. */
  evaluate(attributes: Attributes): readonly string[] {
    if (this.#asked.length === 0) return NOTHING;
    return this.#asked.map((evaluate) => labelValue(evaluate(attributes)));
  }

  /** Undefined: the metric has Istio's labels. */
  labelsOf(metric: MetricKey, labels: readonly string[]): LabelRule | undefined {
    const tags = this.#settings.overrides[metric]?.tags;
    if (tags === undefined || tags.length === 0) return undefined;
    let byLabels = this.#rules.get(metric);
    if (byLabels === undefined) {
      byLabels = new Map();
      this.#rules.set(metric, byLabels);
    }
    let rule = byLabels.get(labels);
    if (rule === undefined) {
      rule = this.#compile(tags, labels);
      byLabels.set(labels, rule);
    }
    return rule;
  }

  #compile(tags: readonly TagOverride[], labels: readonly string[]): LabelRule {
    const changed = new Map(tags.map((tag) => [tag.name, tag]));
    const names: string[] = [];
    const sources: (number | LabelSource)[] = [];
    const add = (name: string, source: number | LabelSource) => {
      names.push(name);
      sources.push(source);
    };
    for (const [at, name] of labels.entries()) {
      const tag = changed.get(name);
      if (tag === undefined) add(name, at);
      else if (tag.expression !== undefined) add(name, this.#sourceOf(tag));
      changed.delete(name);
    }
    for (const tag of changed.values())
      if (tag.expression !== undefined) add(tag.name, this.#sourceOf(tag));
    return { names, sources };
  }

  #sourceOf({ expression }: TagOverride): LabelSource {
    const at = this.#byText.get(expression?.text ?? '');
    if (at !== undefined) return { kind: 'asked', at };
    const node = expression?.node;
    return { kind: 'fixed', value: labelValue(node?.op === 'literal' ? node.value : undefined) };
  }

  #ask({ expression }: TagOverride): void {
    if (expression === undefined || expression.node.op === 'literal') return;
    if (this.#byText.has(expression.text)) return;
    this.#byText.set(expression.text, this.#asked.length);
    this.#asked.push(compileExpression(expression));
  }
}

/** `asked` is what `evaluate` gave. */
export function applyRule(
  { sources }: LabelRule,
  values: readonly string[],
  asked: readonly string[],
): string[] {
  return sources.map((source) => {
    if (typeof source === 'number') return values[source];
    return source.kind === 'fixed' ? source.value : (asked[source.at] ?? UNKNOWN);
  });
}

function labelValue(value: string | number | boolean | null | undefined): string {
  if (value === undefined || value === null || value === '') return UNKNOWN;
  const text = String(value);
  return text.length > LABEL_VALUE_CHARS_MAX ? text.slice(0, LABEL_VALUE_CHARS_MAX) : text;
}

const compiled = new WeakMap<MetricsSettings, MetricRules>();

/** One for the same settings, as long as they are in force. */
export function rulesOf(settings: MetricsSettings): MetricRules {
  let rules = compiled.get(settings);
  if (rules === undefined) {
    rules = new MetricRules(settings);
    compiled.set(settings, rules);
  }
  return rules;
}
