/** An answer being made: steps and policies are collected on the way, one of the endings completes it. */

import type { WhyAnswer, WhyPolicy } from './contract.ts';
import type { ServerMode } from './policies.ts';

export type Parts = Partial<Omit<WhyAnswer, 'verdict' | 'reason' | 'policies' | 'steps' | 'mtls'>>;

export class Draft {
  readonly steps: string[] = [];
  readonly policies: WhyPolicy[] = [];
  client: WhyAnswer['mtls']['client'] = 'plaintext';
  server: ServerMode = 'PERMISSIVE';

  step(text: string): void {
    if (!this.steps.includes(text)) this.steps.push(text);
  }

  addPolicies(policies: readonly WhyPolicy[]): void {
    for (const policy of policies) {
      const isKnown = this.policies.some(
        (each) =>
          each.kind === policy.kind &&
          each.namespace === policy.namespace &&
          each.name === policy.name &&
          each.matched === policy.matched,
      );
      if (!isKnown) this.policies.push(policy);
    }
  }

  end(verdict: WhyAnswer['verdict'], reason: string, parts: Parts = {}): WhyAnswer {
    const { destinations = [], status, ...rest } = parts;
    this.step(`${ENDING[verdict]}${status === undefined ? '' : ` with ${status}`}: ${reason}`);
    return {
      verdict,
      ...(status !== undefined && { status }),
      reason,
      policies: this.policies,
      destinations,
      ...rest,
      mtls: { client: this.client, server: this.server },
      steps: this.steps,
    };
  }
}

const ENDING: Record<WhyAnswer['verdict'], string> = {
  forward: 'forwarded',
  deny: 'denied',
  redirect: 'redirected',
  respond: 'answered by the mesh',
  reset: 'connection refused',
  'no-route': 'no route',
};
