/** The mesh itself: its parts, mutual TLS, certificates, `tulle status` and `tulle why`. */
import { rfc3339 } from '#base/clock.ts';
import { meshAnswer, mtlsAnswer } from '../../pages/mesh-page.ts';
import { sees } from '../access/reader.ts';
import type { ConsoleDeps } from '../console-deps.ts';
import { jsonAnswer } from '../headers.ts';
import { WHY_BODY_BYTES_MAX } from '../limits.ts';
import { notFound, Problem } from '../problem.ts';
import type { Call, Route } from '../router.ts';
import { visibleTo } from './asked.ts';

export function meshRoutes(
  deps: ConsoleDeps,
  { rootNamespace }: { rootNamespace: string },
): Route[] {
  const { mesh, data, clock, status } = deps;
  const seenBy =
    ({ reader }: Call) =>
    (namespace: string) =>
      sees(reader, namespace);
  return [
    {
      method: 'GET',
      path: '/api/v1/mesh',
      access: 'reader',
      handle: async (call) =>
        meshAnswer(mesh, {
          generatedAt: rfc3339(clock),
          store: await data.storeState(),
          sees: seenBy(call),
          rootNamespace,
        }),
    },
    {
      method: 'GET',
      path: '/api/v1/mtls',
      access: 'reader',
      query: ['namespaces', 'window', 'by'],
      async handle(call) {
        const windowSeconds = call.query.windowSeconds();
        const namespaces = call.query.names('namespaces');
        const by = call.query.oneOf('by', ['workload', 'namespace']) ?? 'workload';
        const [cells, hits] = await Promise.all([
          data.mtlsCells({ windowSeconds, by, visible: visibleTo(call.reader, namespaces) }),
          data.policyHits(windowSeconds),
        ]);
        return mtlsAnswer(mesh, { generatedAt: rfc3339(clock), cells, hits, sees: seenBy(call) });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/certificates',
      access: 'reader',
      handle(call) {
        const { certificates, roots } = mesh.certificates();
        const isSeen = seenBy(call);
        return {
          certificates: certificates.filter(({ principal, proxy }) =>
            isSeen(/\/ns\/([^/]+)\//.exec(principal)?.[1] ?? proxy.split('/', 1)[0]),
          ),
          roots,
        };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/status',
      access: 'reader',
      handle: (call) => status(seenBy(call)),
    },
    {
      method: 'POST',
      path: '/api/v1/why',
      access: 'reader',
      bodyBytesMax: WHY_BODY_BYTES_MAX,
      async handle({ body, reader }) {
        // Its answers are made of policies, routes and endpoints wherever they are.
        if (reader.namespaces !== undefined)
          throw new Problem(
            'CONSOLE_FORBIDDEN',
            `${reader.user} may not list the pods of all namespaces, and an answer may tell of any`,
            { hint: 'tulle why -f FILES answers by manifests alone' },
          );
        if (deps.answerWhy === undefined) throw notFound('this control plane judges no requests');
        const { status: code, value } = await deps.answerWhy(body);
        return jsonAnswer(value, code);
      },
    },
  ];
}
