/**
 * Port 15017: the API server asks here, over TLS, before it stores an object of the mesh. A certificate that was renewed is taken over
 * without a refused connection: the successor listens before its predecessor stops.
 */
import { MeshError, messageOf } from '#base/errors.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { ServingIdentity } from '#identity/ca/authority.ts';
import type { ServingCertificate } from '../ca/serving.ts';
import { CONTROL_ERRORS } from '../errors.ts';
import { REVIEW_BYTES_MAX } from '../limits.ts';
import type { JudgeOptions } from './judge.ts';
import { answerReview } from './review.ts';

export interface WebhookOptions extends JudgeOptions {
  readonly hostname: string;
  readonly port: number;
}

export interface WebhookPort {
  readonly port: number;
  stop(): Promise<void>;
}

/** Istio's manifests ask at /validate. */
const PATH = '/validate';

/** Throws CONTROL_LISTEN_FAILED when the port is taken by another program. */
export function startWebhook(
  certificate: ServingCertificate,
  options: WebhookOptions,
  onRefused: (findings: readonly Finding[]) => void,
): WebhookPort {
  const answer = handler(options, onRefused);
  let server = listen(options, certificate.current, answer);
  const port = server.port ?? options.port;
  certificate.onRenewed((identity) => {
    const old = server;
    server = listen({ ...options, port }, identity, answer);
    void old.stop();
  });
  return { port, stop: () => server.stop(true) };
}

type Answer = (request: Request) => Response | Promise<Response>;

function listen(
  { hostname, port }: { hostname: string; port: number },
  { certificateChain: cert, privateKey: key }: ServingIdentity,
  fetch: Answer,
) {
  try {
    const tls = { cert, key };
    return Bun.serve({
      hostname,
      port,
      reusePort: true,
      tls,
      maxRequestBodySize: REVIEW_BYTES_MAX,
      fetch,
    });
  } catch (error) {
    throw new MeshError(
      'CONTROL_LISTEN_FAILED',
      `cannot listen on ${hostname}:${port}: ${messageOf(error)}`,
      { side: 'self', hint: CONTROL_ERRORS.CONTROL_LISTEN_FAILED, cause: error },
    );
  }
}

function handler(options: JudgeOptions, onRefused: (findings: readonly Finding[]) => void): Answer {
  return async (request) => {
    if (new URL(request.url).pathname !== PATH)
      return failure(404, `only POST ${PATH} is served here`);
    if (request.method !== 'POST') return failure(405, 'POST an AdmissionReview as JSON');
    const body = await request.json().catch(() => undefined);
    const answer = answerReview(body, options, onRefused);
    if (answer !== undefined) return Response.json(answer);
    return failure(400, 'want an AdmissionReview of admission.k8s.io/v1 with request.uid');
  };
}

function failure(status: number, message: string): Response {
  return Response.json({ error: message }, { status });
}
