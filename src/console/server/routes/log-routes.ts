/**
 * Logs of a pod beside what the mesh saw of it, on one time axis. The application's own lines are read with the reader's token: they may hold more
 * than who watches traffic should see.
 */
import { isMeshError } from '#base/errors.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { LogLine, LogsAnswer } from '../../api/lists.ts';
import type { RequestRow } from '../../api/traffic.ts';
import { joinLines, mentions, parseLogLine, requestLine } from '../../pages/log-lines.ts';
import { type Reader, sees } from '../access/reader.ts';
import type { ConsoleDeps } from '../console-deps.ts';
import { LOG_BYTES_MAX, LOG_LINES_DEFAULT, LOG_LINES_MAX, ROWS_MAX } from '../limits.ts';
import { notFound } from '../problem.ts';
import type { Call, Route } from '../router.ts';
import { visibleTo } from './asked.ts';

const SINCE_SECONDS_DEFAULT = 900;
const SINCE_SECONDS_MAX = 7 * 86_400;

export function logRoutes(deps: ConsoleDeps): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/logs/{namespace}/{pod}',
      access: 'reader',
      query: ['container', 'sinceSeconds', 'limit'],
      handle: (call) => logs(deps, call),
    },
  ];
}

async function logs(deps: ConsoleDeps, { path, query, reader }: Call): Promise<LogsAnswer> {
  const { namespace, pod } = path;
  if (!sees(reader, namespace))
    throw notFound(`there is no pod ${namespace}/${pod} that ${reader.user} may see`);
  const limit = query.integer('limit', { from: 1, to: LOG_LINES_MAX }) ?? LOG_LINES_DEFAULT;
  const sinceSeconds =
    query.integer('sinceSeconds', { from: 1, to: SINCE_SECONDS_MAX }) ?? SINCE_SECONDS_DEFAULT;
  const owner = workloadOf(deps, namespace, pod);
  const fromMs = deps.clock.wallTime() - sinceSeconds * 1000;
  const [own, seen] = await Promise.all([
    applicationLines(deps, reader, {
      namespace,
      pod,
      container: query.text('container'),
      sinceSeconds,
      limit,
    }),
    owner === undefined ? [] : meshRecords(deps, reader, { owner: owner.key, fromMs }),
  ]);
  const records = owner === undefined ? [] : seen.filter((row) => mentions(row, owner.ip));
  const joined = joinLines([...own.lines, ...records.map(requestLine)], limit);
  return { ...joined, ...(own.notice !== undefined && { notice: own.notice }) };
}

function workloadOf(
  { mesh }: ConsoleDeps,
  namespace: string,
  pod: string,
): { key: string; ip: string } | undefined {
  for (const view of mesh.workloads()) {
    if (view.namespace !== namespace || !pod.startsWith(view.name)) continue;
    const row = view.pods().find(({ name }) => name === pod);
    if (row !== undefined) return { key: view.key, ip: row.ip };
  }
  return undefined;
}

function meshRecords(
  { data }: ConsoleDeps,
  reader: Reader,
  { owner, fromMs }: { owner: string; fromMs: number },
): Promise<readonly RequestRow[]> {
  return data.requests({
    visible: visibleTo(reader),
    namespaces: [],
    workloads: [owner],
    services: [],
    methods: [],
    pathPrefix: '',
    status: undefined,
    onlyFailed: false,
    node: undefined,
    edge: undefined,
    fromMs,
    toMs: undefined,
    limit: ROWS_MAX,
  });
}

interface Wanted {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
  readonly sinceSeconds: number;
  readonly limit: number;
}

async function applicationLines(
  { kube, asReader }: ConsoleDeps,
  reader: Reader,
  wanted: Wanted,
): Promise<{ lines: LogLine[]; notice?: string }> {
  const client =
    reader.token === undefined ? (reader.isOwner ? kube : undefined) : asReader(reader.token);
  if (client === undefined)
    return {
      lines: [],
      notice:
        'log in with a token to read the lines of the application: only what the mesh saw is shown',
    };
  try {
    return { lines: await linesOf(client, wanted) };
  } catch (error) {
    // What the mesh saw is worth showing without the rest.
    if (isMeshError(error, 'KUBE_FORBIDDEN'))
      return {
        lines: [],
        notice: `${reader.user} may not read logs in ${wanted.namespace}: only what the mesh saw is shown`,
      };
    if (isMeshError(error, 'KUBE_NOT_FOUND'))
      throw notFound(`there is no pod ${wanted.namespace}/${wanted.pod}`);
    throw error;
  }
}

async function linesOf(
  client: KubeClient,
  { namespace, pod, container, sinceSeconds, limit }: Wanted,
): Promise<LogLine[]> {
  const key = { namespace, name: pod };
  const containers = container === undefined ? await containersOf(client, key) : [container];
  const texts = await Promise.all(
    containers.map(async (name) => {
      const query = new URLSearchParams({
        container: name,
        timestamps: 'true',
        tailLines: String(limit),
        sinceSeconds: String(sinceSeconds),
        limitBytes: String(LOG_BYTES_MAX),
      });
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log?${query}`;
      return { name, text: String(await client.request('GET', path)) };
    }),
  );
  return texts.flatMap(({ name, text }) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => parseLogLine(line, name)),
  );
}

async function containersOf(
  client: KubeClient,
  key: { namespace: string; name: string },
): Promise<string[]> {
  const { spec } = await client.get<Pod>(RESOURCES.pods, key);
  return spec.containers.map(({ name }) => name);
}
