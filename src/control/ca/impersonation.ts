/**
 * May a caller have a certificate for another identity? Node proxies hold the keys of the pods on their node and
 * of no others. Rules as istiod's (security/pkg/server/ca/node_auth.go). Pure: pods are looked up by the caller.
 */
import type { Identity } from '#model/identity/spiffe.ts';
import type { Caller } from '../push/caller.ts';

export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccount: string;
  readonly nodeName: string | undefined;
  readonly phase: string | undefined;
}

export interface PodLookup {
  pod(namespace: string, name: string): PodFacts | undefined;
  podsOnNode(nodeName: string): Iterable<PodFacts>;
}

/** `namespace/serviceAccount`, as in CA_TRUSTED_NODE_ACCOUNTS. */
export const TRUSTED_NODE_ACCOUNTS: ReadonlySet<string> = new Set(['istio-system/ztunnel']);

/** Undefined: it may. Else the reason why not. */
export function impersonationProblem(options: {
  caller: Caller;
  wanted: Identity;
  trustedAccounts: ReadonlySet<string>;
  pods: PodLookup;
}): string | undefined {
  const { caller, wanted, trustedAccounts, pods } = options;
  const account = `${caller.namespace}/${caller.serviceAccount}`;
  if (!trustedAccounts.has(account)) return `${account} is not a trusted node account`;
  if (caller.pod === undefined) return `the token of ${account} is not bound to a pod`;
  const pod = pods.pod(caller.namespace, caller.pod.name);
  if (pod === undefined) return `pod ${caller.namespace}/${caller.pod.name} does not exist`;
  if (pod.uid !== caller.pod.uid) return `pod ${caller.pod.name} was replaced since`;
  if (pod.serviceAccount !== caller.serviceAccount) {
    return `pod ${pod.name} runs as ${pod.serviceAccount}, not ${caller.serviceAccount}`;
  }
  if (pod.nodeName === undefined) return `pod ${pod.name} is on no node yet`;
  for (const other of pods.podsOnNode(pod.nodeName)) {
    const runs = other.phase !== 'Failed';
    const same =
      other.namespace === wanted.namespace && other.serviceAccount === wanted.serviceAccount;
    if (runs && same) return undefined;
  }
  return `no pod of ${wanted.namespace}/${wanted.serviceAccount} is on node ${pod.nodeName}`;
}
