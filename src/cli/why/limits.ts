/** What limits of the proxy may refuse of a request, in words: whether they do depends on what came before it. */
import type { LoadShedding, RateLimit } from '#model/route/traffic-limits.ts';
import type { Draft } from './draft.ts';
import { nameOf } from './http.ts';

export function tellLimits(
  draft: Draft,
  at: string,
  limits: {
    readonly rateLimits?: readonly RateLimit[] | undefined;
    readonly shedding?: readonly LoadShedding[] | undefined;
  },
): void {
  for (const policy of limits.shedding ?? []) {
    draft.step(`${at}: ${nameOf(policy.provenance)} sheds load: ${boundsOf(policy)}, else 503`);
  }
  for (const { provenance, requests, unitMs, burst, key } of limits.rateLimits ?? []) {
    const whose = {
      overall: '',
      'source-identity': ' for each identity',
      'source-address': ' for each address',
      header: '',
    }[key.kind];
    const by = key.kind === 'header' ? ` for each value of ${key.name}` : whose;
    draft.step(
      `${at}: ${nameOf(provenance)} lets ${requests} requests in ${unitMs / 1000} s pass${by}, ${burst} at once, else 429`,
    );
  }
}

function boundsOf({ maxRequests, adaptive, eventLoopLagMs, priority }: LoadShedding): string {
  const parts: string[] = [];
  if (adaptive !== undefined) {
    parts.push(
      `as many requests in flight as answers stay quick with, ${adaptive.minRequests} at least`,
    );
  }
  if (maxRequests !== undefined) parts.push(`${maxRequests} requests in flight at most`);
  if (eventLoopLagMs !== undefined) parts.push(`none while the proxy is ${eventLoopLagMs} ms late`);
  if (priority !== undefined)
    parts.push(`by ${priority.header} (${priority.classes.join(' before ')})`);
  return parts.join(', ');
}
