/** Checks bearer tokens with the Kubernetes API (TokenReview), as istiod does (kubeauth/kube_jwt.go). */
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Authenticate, Caller } from '../push/caller.ts';

/** Audience of the token that proxies present (TOKEN_AUDIENCES). */
export const TOKEN_AUDIENCE = 'istio-ca';

/** What an API server says of a token whose time it is not (k8s.io/kubernetes pkg/serviceaccount, go-jose). */
const CLOCK_WORDS = /expired|not valid yet|issued in the future/;
const CLOCK_ADVICE =
  ' (the clocks of the API server and of who made or renews the token may differ: compare `date -u` on both)';

const USER_PREFIX = 'system:serviceaccount:';
const POD_NAME = 'authentication.kubernetes.io/pod-name';
const POD_UID = 'authentication.kubernetes.io/pod-uid';

interface TokenReview extends KubeObject {
  spec: { token: string; audiences: string[] };
  status?: {
    authenticated?: boolean;
    audiences?: string[];
    error?: string;
    user?: { username?: string; extra?: Record<string, string[]> };
  };
}

export function tokenReviewer(kube: KubeClient): Authenticate {
  return async (token) => {
    const review = await kube.create<TokenReview>(RESOURCES.tokenReviews, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: { name: '' },
      spec: { token, audiences: [TOKEN_AUDIENCE] },
    });
    return callerOfReview(review.status);
  };
}

export function callerOfReview(status: TokenReview['status']): Caller | string {
  if (status?.authenticated !== true) {
    const reason = status?.error ?? 'not authenticated';
    return `token refused: ${reason}${CLOCK_WORDS.test(reason) ? CLOCK_ADVICE : ''}`;
  }
  if (status.audiences !== undefined && !status.audiences.includes(TOKEN_AUDIENCE)) {
    return `token is for ${status.audiences.join(', ')}, not for ${TOKEN_AUDIENCE}`;
  }
  const { username = '', extra = {} } = status.user ?? {};
  const [namespace, serviceAccount, more] = username.startsWith(USER_PREFIX)
    ? username.slice(USER_PREFIX.length).split(':')
    : [];
  if (!namespace || !serviceAccount || more !== undefined) {
    return `${username || 'the token'} is not a service account`;
  }
  const name = extra[POD_NAME]?.[0];
  const uid = extra[POD_UID]?.[0];
  const pod = name === undefined || uid === undefined ? undefined : { name, uid };
  return { namespace, serviceAccount, pod };
}
