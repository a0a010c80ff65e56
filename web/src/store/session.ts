/** Who reads: asked once, and again after log-in. Anything that answers 401 leads back to the log-in page. */
import type { SessionAnswer } from '#console/api/mesh.ts';
import { address, sendJson, setCsrfToken } from './api.ts';
import { askAhead, type Query, useQuery } from './query.ts';

const SESSION_REFRESH_MS = 60_000;

export function askSessionAhead(): Promise<void> {
  return askAhead(address('session'));
}

export function useSession(): Query<SessionAnswer> {
  const query = useQuery<SessionAnswer>(address('session'), { refreshMs: SESSION_REFRESH_MS });
  if (query.data !== undefined) setCsrfToken(query.data.csrfToken);
  return query;
}

export async function login(token: string): Promise<void> {
  await sendJson<SessionAnswer>('POST', address('login'), { token });
}

export async function logout(): Promise<void> {
  await sendJson<SessionAnswer>('POST', address('logout'), {});
}
