/**
 * Asks a Prometheus by its HTTP API, within bounds: of time, of the size of an answer, of how many questions run at once. One that was silent is not asked again for
 * a while. Every failure is a MeshError of PROMETHEUS_ERRORS.
 */
import type { Clock } from '#base/clock.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import { type Row, readAnswer } from './answers.ts';
import { PROMETHEUS_ERRORS } from './errors.ts';
import {
  ANSWER_BYTES_MAX,
  AWAY_MS,
  QUERIES_AT_ONCE,
  QUESTION_TIMEOUT_MS,
  QUESTIONS_AT_ONCE,
  REFUSAL_CHARACTERS_MAX,
} from './limits.ts';

export interface PrometheusOptions {
  /** Its root: `/api/v1/…` follows. */
  readonly url: string;
  /** Label matchers that choose this mesh's series; empty: all are. */
  readonly match: string;
}

/** One moment, or steps over a time: seconds since the epoch. */
export type When =
  | { readonly at: number }
  | { readonly from: number; readonly to: number; readonly stepSeconds: number };

export interface PrometheusClientDeps {
  readonly clock: Clock;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

export class PrometheusClient {
  readonly #deps: PrometheusClientDeps;
  readonly #url: string;
  readonly #limits: { readonly answerBytesMax: number; readonly timeoutMs: number };
  #questions = 0;
  #awayUntil = Number.NEGATIVE_INFINITY;
  #away: MeshError | undefined;

  constructor(
    deps: PrometheusClientDeps,
    options: Pick<PrometheusOptions, 'url'>,
    limits: { answerBytesMax?: number; timeoutMs?: number } = {},
  ) {
    const { answerBytesMax = ANSWER_BYTES_MAX, timeoutMs = QUESTION_TIMEOUT_MS } = limits;
    this.#deps = deps;
    this.#url = options.url.replace(/\/+$/, '');
    this.#limits = { answerBytesMax, timeoutMs };
  }

  /** All answers, in the order of the queries; throws at the first that fails. */
  async ask(queries: readonly string[], when: When): Promise<Row[][]> {
    const { clock } = this.#deps;
    if (this.#away !== undefined && clock.now() < this.#awayUntil) throw this.#away;
    if (this.#questions >= QUESTIONS_AT_ONCE)
      throw failure(
        'CONSOLE_PROMETHEUS_TOO_MUCH',
        `${this.#questions} questions to it run already`,
      );
    this.#questions++;
    const abort = new AbortController();
    const { timeoutMs } = this.#limits;
    const late = clock.after(timeoutMs, () =>
      abort.abort(new Error(`it did not answer within ${timeoutMs} ms`)),
    );
    try {
      const answers = await this.#all(queries, when, abort.signal);
      this.#away = undefined;
      return answers;
    } catch (error) {
      // The other queries are of no use any more.
      abort.abort(error);
      if (isMeshError(error, 'CONSOLE_PROMETHEUS_AWAY')) {
        this.#away = error;
        this.#awayUntil = clock.now() + AWAY_MS;
      }
      throw error;
    } finally {
      late.cancel();
      this.#questions--;
    }
  }

  /** A few at a time. */
  async #all(queries: readonly string[], when: When, signal: AbortSignal): Promise<Row[][]> {
    const answers: Row[][] = queries.map(() => []);
    let next = 0;
    const work = async () => {
      for (let at = next++; at < queries.length; at = next++)
        answers[at] = await this.#query(queries[at], when, signal);
    };
    await Promise.all(Array.from({ length: QUERIES_AT_ONCE }, work));
    return answers;
  }

  async #query(query: string, when: When, signal: AbortSignal): Promise<Row[]> {
    const isRange = 'from' in when;
    const body = new URLSearchParams({ query });
    if (isRange) {
      body.set('start', String(when.from));
      body.set('end', String(when.to));
      body.set('step', String(when.stepSeconds));
    } else body.set('time', String(when.at));
    const { status, text } = await this.#fetch(isRange ? 'query_range' : 'query', body, signal);
    const answer = readAnswer(text);
    if (typeof answer !== 'string') return answer;
    const told = answer.slice(0, REFUSAL_CHARACTERS_MAX);
    // What is no answer of Prometheus' comes from something before it.
    throw status === 400 || status === 422
      ? failure('CONSOLE_PROMETHEUS_REFUSED', `it refuses: ${told}`)
      : failure('CONSOLE_PROMETHEUS_AWAY', `status ${status}: ${told}`);
  }

  async #fetch(path: string, body: URLSearchParams, signal: AbortSignal) {
    try {
      const init = { method: 'POST', body, signal, redirect: 'error' } as const;
      const response = await this.#deps.fetch(`${this.#url}/api/v1/${path}`, init);
      return { status: response.status, text: await this.#read(response) };
    } catch (error) {
      if (error instanceof MeshError) throw error;
      const reason = signal.aborted ? messageOf(signal.reason) : messageOf(error);
      throw failure('CONSOLE_PROMETHEUS_AWAY', reason, error);
    }
  }

  async #read(response: Response): Promise<string> {
    const { answerBytesMax } = this.#limits;
    const decoder = new TextDecoder();
    let text = '';
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > answerBytesMax)
        throw failure(
          'CONSOLE_PROMETHEUS_TOO_MUCH',
          `its answer has more than ${answerBytesMax} bytes`,
        );
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }
}

function failure(code: keyof typeof PROMETHEUS_ERRORS, message: string, cause?: unknown) {
  return new MeshError(code, message, { side: 'upstream', hint: PROMETHEUS_ERRORS[code], cause });
}
