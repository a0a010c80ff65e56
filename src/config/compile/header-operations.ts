/** Header operations of a VirtualService in the model's words. */
import { parseHeaderFormat } from '#model/route/header-format.ts';
import type { HeaderOperations, Route } from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import { isInternal } from './header-names.ts';
import type { HeaderOperationsSpec, HeadersSpec } from './virtual-service-kinds.ts';

export function compileHeaders(
  spec: HeadersSpec | null | undefined,
  path: string,
  findings: Findings,
): Route['headers'] {
  if (!spec?.request && !spec?.response) return undefined;
  const operations = (direction: 'request' | 'response') =>
    compileOperations(spec[direction], `${path}.${direction}`, findings);
  return { request: operations('request'), response: operations('response') };
}

function compileOperations(
  spec: HeaderOperationsSpec | undefined,
  path: string,
  findings: Findings,
): HeaderOperations | undefined {
  if (!spec) return undefined;
  const values = (verb: 'set' | 'add') => {
    const result: Record<string, string> = {};
    for (const [name, value] of Object.entries(spec[verb] ?? {})) {
      // The authority is no header: it is rewritten (http-route.ts).
      if (isInternal(name)) continue;
      const format = parseHeaderFormat(String(value));
      if (!('problem' in format)) result[name.toLowerCase()] = String(value);
      else {
        const message = `${format.problem}: the header is left alone`;
        findings.ineffective(`${path}.${verb}[${name}]`, message, {
          hint: 'use a variable that docs/traffic-api.md lists, or write %% for a percent sign',
        });
      }
    }
    return result;
  };
  const remove = (spec.remove ?? []).filter((name) => !isInternal(name));
  return {
    set: values('set'),
    add: values('add'),
    remove: remove.map((name) => name.toLowerCase()),
  };
}
