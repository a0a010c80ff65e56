/** The policies of a mesh by whom they apply to. Built once for each set of policies, so that a workload's are a look-up. */
import type { Authorization } from '#model/authorization/authorization.ts';

export interface PolicySubject {
  readonly namespace: string;
  /** `namespace/name` of the selector policies in force. */
  readonly authorizationPolicies: readonly string[];
}

export class PolicyIndex {
  readonly all: readonly Authorization[];
  readonly #global: Authorization[] = [];
  readonly #byNamespace = new Map<string, Authorization[]>();
  readonly #bySelector = new Map<string, Authorization>();

  constructor(policies: Iterable<Authorization>) {
    this.all = [...policies];
    for (const policy of this.all) {
      const { scope, namespace, name } = policy;
      if (scope === 'global') this.#global.push(policy);
      else if (scope === 'workload-selector') this.#bySelector.set(`${namespace}/${name}`, policy);
      else {
        const group = this.#byNamespace.get(namespace);
        if (group === undefined) this.#byNamespace.set(namespace, [policy]);
        else group.push(policy);
      }
    }
  }

  /** Global ones, its namespace's, and those it names; a name that nobody knows is passed over, as ztunnel does. */
  policiesOf(subject: PolicySubject): readonly Authorization[] {
    const selected = [...this.#global, ...(this.#byNamespace.get(subject.namespace) ?? [])];
    for (const name of subject.authorizationPolicies) {
      const policy = this.#bySelector.get(name);
      if (policy !== undefined) selected.push(policy);
    }
    return selected;
  }
}
