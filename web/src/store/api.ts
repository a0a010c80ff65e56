/** Requests to the control plane's API: JSON in and out, errors with what to do next, and the token against forged requests. */
import type { ErrorAnswer } from '#console/api/mesh.ts';

export class ApiError extends Error {
  /** 0 when there was no answer at all. */
  readonly status: number;
  readonly hint: string;

  constructor(message: string, options: { status: number; hint?: string; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.hint = options.hint ?? '';
  }
}

let csrfToken = '';

/** From the session; goes with everything that changes something. */
export function setCsrfToken(token: string): void {
  csrfToken = token;
}

export function getJson<T>(address: string, signal?: AbortSignal): Promise<T> {
  return ask<T>(address, { signal });
}

export function sendJson<T>(method: 'POST' | 'PUT', address: string, body: unknown): Promise<T> {
  return ask<T>(address, {
    method,
    headers: { 'content-type': 'application/json', 'x-tulle-csrf': csrfToken },
    body: JSON.stringify(body),
  });
}

async function ask<T>(address: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address, { ...init, credentials: 'same-origin' });
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    const hint = 'Is the control plane running? In a terminal: tulle status';
    throw new ApiError('The control plane does not answer', { status: 0, hint, cause });
  }
  const text = await response.text();
  const value = parsed(text);
  if (response.ok && value !== undefined) return value as T;
  const answer = value as Partial<ErrorAnswer> | undefined;
  throw new ApiError(
    answer?.error ?? `The control plane answered ${response.status} without a word`,
    {
      status: response.status,
      hint: answer?.hint,
    },
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `/api/v1/…?…` without empty members. */
export function address(
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const members = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') members.set(name, value);
  }
  const text = members.toString();
  return `/api/v1/${path}${text === '' ? '' : `?${text}`}`;
}
