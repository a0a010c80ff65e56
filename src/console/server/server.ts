/**
 * The console's port: `/api/v1/*` and the files of the console. Every request takes the same way: whose page asks (origin), how often (rate), who it is
 * (access), what is wanted (router, parameters), and every answer leaves with the same headers; what is wrong leaves as an ErrorAnswer.
 */
import { isMeshError, messageOf } from '#base/errors.ts';
import { Access, type AccessOptions, type PeerAddress } from './access/access.ts';
import type { Reader } from './access/reader.ts';
import type { ConsoleDeps } from './console-deps.ts';
import { CONSOLE_ERRORS } from './errors.ts';
import { EventStreams } from './events.ts';
import { jsonAnswer, secured } from './headers.ts';
import { REQUESTS_BURST, REQUESTS_PER_SECOND, URL_CHARACTERS_MAX } from './limits.ts';
import { Parameters } from './parameters.ts';
import { answerOf, Problem } from './problem.ts';
import { ClientRates } from './rate.ts';
import { readJson } from './read-body.ts';
import { bodyBytesMax, type Found, Router } from './router.ts';
import { consoleRoutes } from './routes/routes.ts';
import { StaticFiles } from './static-files.ts';

const API = '/api/';

export interface Peer {
  readonly address: PeerAddress;
  readonly setIdleSeconds: (seconds: number) => void;
}

export class ConsoleServer {
  readonly streams: EventStreams;
  readonly #deps: ConsoleDeps;
  readonly #access: Access;
  readonly #router: Router;
  readonly #files: StaticFiles;
  readonly #rates = new ClientRates({ perSecond: REQUESTS_PER_SECOND, burst: REQUESTS_BURST });

  constructor(deps: ConsoleDeps, options: AccessOptions) {
    const { mesh, bundle } = deps;
    this.#deps = deps;
    const namespaces = () => [...mesh.namespaces()].map(({ name }) => name).sort();
    this.#access = new Access({ ...deps, namespaces }, options);
    this.streams = new EventStreams(deps);
    this.#router = new Router(consoleRoutes(deps, { access: this.#access, streams: this.streams }));
    this.#files = new StaticFiles(bundle);
  }

  /** Never rejects. */
  async handle(request: Request, peer: Peer): Promise<Response> {
    try {
      return secured(await this.#answer(request, peer));
    } catch (error) {
      return secured(this.#failure(error, request));
    }
  }

  stop(): void {
    this.streams.stop();
  }

  async #answer(request: Request, peer: Peer): Promise<Response> {
    if (request.url.length > URL_CHARACTERS_MAX)
      throw new Problem(
        'CONSOLE_TOO_LARGE',
        `the address has more than ${URL_CHARACTERS_MAX} characters`,
        { status: 414 },
      );
    const { pathname, searchParams } = new URL(request.url);
    this.#access.checkOrigin(request, { isPage: !pathname.startsWith(API) });
    const client = peer.address ?? 'socket';
    const wait = this.#rates.take(client, this.#deps.clock.now());
    if (wait > 0)
      throw new Problem('CONSOLE_TOO_MANY', 'too many requests at once', {
        retryAfterSeconds: wait,
      });
    if (!pathname.startsWith(API)) return this.#page(request, pathname);
    const found = this.#router.find(request.method, pathname);
    const query = new Parameters(searchParams, found.route.query ?? []);
    const reader = await this.#admit(request, peer, found);
    const hasBody = found.route.method !== 'GET';
    const body = hasBody ? await readJson(request, bodyBytesMax(found.route)) : undefined;
    const { setIdleSeconds } = peer;
    const call = { path: found.path, query, body, reader, request, client, setIdleSeconds };
    const answer = await found.route.handle(call);
    return answer instanceof Response ? answer : jsonAnswer(answer);
  }

  #page(request: Request, pathname: string): Promise<Response> {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new Problem('CONSOLE_METHOD', 'only GET can be used here', { allow: ['GET', 'HEAD'] });
    return this.#files.answer(request, pathname);
  }

  async #admit(request: Request, peer: Peer, { route }: Found): Promise<Reader> {
    const reader = await this.#access.reader(request, peer.address);
    if (route.access === 'anyone') return reader;
    if (reader.kind === 'anonymous')
      throw new Problem('CONSOLE_NOT_LOGGED_IN', 'who reads here shows a token first');
    if (route.access === 'change') await this.#access.checkCsrf(reader, request);
    return reader;
  }

  #failure(error: unknown, request: Request): Response {
    const answer = answerOf(error);
    if (answer === undefined || answer.status >= 500) {
      const cause =
        isMeshError(error) && error.cause !== undefined ? messageOf(error.cause) : undefined;
      this.#deps.log.warn('console request failed', {
        method: request.method,
        path: request.url.slice(0, 200),
        reason: messageOf(error),
        cause,
        ...(answer === undefined && error instanceof Error && { stack: error.stack }),
      });
    }
    if (answer === undefined) {
      const body = {
        error: 'the console failed to answer',
        code: 'CONSOLE_INTERNAL',
        hint: CONSOLE_ERRORS.CONSOLE_INTERNAL,
      };
      return jsonAnswer(body, 500);
    }
    const { status, body, retryAfterSeconds, allow } = answer;
    return jsonAnswer(body, status, {
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
      // RFC 9110 §15.5.6.
      ...(allow !== undefined && { allow: allow.join(', ') }),
      ...(status === 401 && { 'www-authenticate': 'Bearer realm="tulle"' }),
    });
  }
}
