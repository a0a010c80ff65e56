/** Service account tokens for pods, by TokenRequest; one is kept until most of its life is over. */
import type { Clock } from '#base/clock.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { TOKEN_REFRESH_SHARE } from '../limits.ts';
import type { TokenRequest } from './volumes.ts';

interface TokenAnswer {
  status?: { token?: string; expirationTimestamp?: string };
}

export class PodTokens {
  readonly #deps: { client: KubeClient; clock: Clock };
  readonly #tokens = new Map<string, { token: string; renewAt: number }>();

  constructor(deps: { client: KubeClient; clock: Clock }) {
    this.#deps = deps;
  }

  async token(pod: Pod, { audience, expirationSeconds }: TokenRequest): Promise<string> {
    const { client, clock } = this.#deps;
    const key = `${audience ?? ''} ${expirationSeconds}`;
    const known = this.#tokens.get(key);
    if (known !== undefined && known.renewAt > clock.now()) return known.token;
    const { namespace, name, uid } = pod.metadata;
    const account = pod.spec.serviceAccountName ?? 'default';
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const answer = (await client.request('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        ...(audience === undefined || audience === '' ? {} : { audiences: [audience] }),
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    })) as TokenAnswer;
    const token = answer.status?.token ?? '';
    const lifeMs =
      lifeOf(answer.status?.expirationTimestamp, clock.wallTime()) ?? expirationSeconds * 1000;
    this.#tokens.set(key, { token, renewAt: clock.now() + lifeMs * TOKEN_REFRESH_SHARE });
    return token;
  }

  /** Milliseconds until the next token has to be renewed. */
  nextRenewalMs(): number | undefined {
    const times = [...this.#tokens.values()].map(({ renewAt }) => renewAt - this.#deps.clock.now());
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times));
  }
}

function lifeOf(expires: string | undefined, nowMs: number): number | undefined {
  const until = Date.parse(expires ?? '');
  return Number.isNaN(until) ? undefined : Math.max(0, until - nowMs);
}
