/** Codes of the schema engine's operating failures. Bad objects are findings, never errors. */

export const SCHEMA_ERRORS = {
  SCHEMA_PATTERN_INVALID: 'Write the pattern in RE2 syntax: no look-around, no back-references.',
  SCHEMA_CEL_INVALID:
    'Correct the expression: see https://kubernetes.io/docs/reference/using-api/cel/',
  SCHEMA_CEL_BUDGET:
    'Bound the lists and maps that the rule walks with maxItems and maxProperties, or simplify the rule.',
} as const;
