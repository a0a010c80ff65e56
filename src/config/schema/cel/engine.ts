/**
 * Loads the CEL library with the first rule that runs: it takes 70 ms, and a server that starts has no rule to run.
 * `require` because validation is synchronous.
 */
type Compile = typeof import('./compile.ts');
type Values = typeof import('./values.ts');

export interface CelEngine {
  compileRule: Compile['compileRule'];
  toCelValue: Values['toCelValue'];
  ReadBudget: Values['ReadBudget'];
}

let loaded: CelEngine | undefined;

export function celEngine(): CelEngine {
  if (loaded === undefined) {
    const { compileRule } = require('./compile.ts') as Compile;
    const { toCelValue, ReadBudget } = require('./values.ts') as Values;
    loaded = { compileRule, toCelValue, ReadBudget };
  }
  return loaded;
}
