/** What there is: overview, namespaces, workloads, services, apps, and each of them by itself. */
import { rfc3339 } from '#base/clock.ts';
import type { GraphType } from '../../api/graph.ts';
import type {
  AppsAnswer,
  NamespacesAnswer,
  OverviewAnswer,
  ServicesAnswer,
  WorkloadsAnswer,
} from '../../api/lists.ts';
import type { Waypoints } from '../../graph/nodes.ts';
import type { ServiceView } from '../../mesh-view.ts';
import { attention, meshHealth } from '../../pages/attention.ts';
import { appAnswer, type DetailInput, serviceAnswer, workloadAnswer } from '../../pages/details.ts';
import { appId, namespaceOfResource, serviceId, workloadId } from '../../pages/names.ts';
import { appRows, byName, namespaceRow, serviceRow, workloadRow } from '../../pages/rows.ts';
import { type Reader, sees, visible } from '../access/reader.ts';
import type { ConsoleDeps } from '../console-deps.ts';
import { notFound } from '../problem.ts';
import type { Call, Route } from '../router.ts';
import { trafficOf, visibleTo } from './asked.ts';

const LIST_QUERY = ['namespaces', 'window', 'at'];

export function listRoutes(
  deps: ConsoleDeps,
  { rootNamespace }: { rootNamespace: string },
): Route[] {
  const { mesh, data, clock } = deps;
  const scopeOf = ({ query, reader }: Call) => {
    const namespaces = visible(reader, query.names('namespaces'));
    return (namespace: string) => namespaces === undefined || namespaces.has(namespace);
  };
  const generatedAt = () => rfc3339(clock);
  const detail = async (
    call: Call,
    focus: { type: GraphType; id: string; waypoints?: Waypoints },
  ): Promise<DetailInput> => {
    const windowSeconds = call.query.windowSeconds();
    const [traffic, graph] = await Promise.all([
      trafficOf(data, call.query),
      data.graph({
        windowSeconds,
        namespaces: [],
        type: focus.type,
        atMs: call.query.timeMs('at'),
        focus: focus.id,
        idle: true,
        waypoints: focus.waypoints ?? false,
        visible: visibleTo(call.reader),
      }),
    ]);
    return { mesh, traffic, graph, rootNamespace };
  };
  const get = (path: string, query: readonly string[], handle: Route['handle']): Route => ({
    method: 'GET',
    path,
    access: 'reader',
    query,
    handle,
  });
  return [
    get('/api/v1/overview', LIST_QUERY, (call) => overview(deps, call, scopeOf(call))),
    get('/api/v1/namespaces', LIST_QUERY, async (call): Promise<NamespacesAnswer> => {
      const { namespaces } = await listed(deps, call, scopeOf(call));
      return { generatedAt: generatedAt(), namespaces };
    }),
    get('/api/v1/workloads', LIST_QUERY, async (call): Promise<WorkloadsAnswer> => {
      const { workloads } = await listed(deps, call, scopeOf(call));
      return { generatedAt: generatedAt(), workloads };
    }),
    get('/api/v1/services', LIST_QUERY, async (call): Promise<ServicesAnswer> => {
      const { services } = await listed(deps, call, scopeOf(call));
      return { generatedAt: generatedAt(), services };
    }),
    get('/api/v1/apps', LIST_QUERY, async (call): Promise<AppsAnswer> => {
      const inScope = scopeOf(call);
      const traffic = await trafficOf(data, call.query);
      const views = [...mesh.workloads()].filter(({ namespace }) => inScope(namespace));
      return { generatedAt: generatedAt(), apps: byName(appRows(views, traffic)) };
    }),
    get('/api/v1/workloads/{namespace}/{name}', ['window', 'at'], async (call) => {
      const key = seenKey(call);
      const view = mesh.workload(key);
      if (view === undefined)
        throw notFound(`there is no workload ${key}`, 'GET /api/v1/workloads lists them');
      const waypoints = view.role === 'waypoint' ? 'passed' : false;
      const focus = { type: 'workload', id: workloadId(view), waypoints } as const;
      return workloadAnswer(view, await detail(call, focus));
    }),
    get('/api/v1/services/{namespace}/{name}', ['window', 'at'], async (call) => {
      const key = seenKey(call);
      const view = serviceNamed(mesh.services(), call.path);
      if (view === undefined)
        throw notFound(`there is no service ${key}`, 'GET /api/v1/services lists them');
      return serviceAnswer(view, await detail(call, { type: 'service', id: serviceId(view) }));
    }),
    get('/api/v1/apps/{namespace}/{name}', ['window', 'at'], async (call) => {
      const key = seenKey(call);
      const { namespace, name } = call.path;
      const answer = appAnswer(
        namespace,
        name,
        await detail(call, { type: 'app', id: appId(namespace, name) }),
      );
      if (answer === undefined)
        throw notFound(`there is no app ${key}`, 'GET /api/v1/apps lists them');
      return answer;
    }),
  ];
}

/** What the reader may not see is answered as what is not there. */
function seenKey({ path, reader }: Call): string {
  const key = `${path.namespace}/${path.name}`;
  if (!sees(reader, path.namespace))
    throw notFound(`there is nothing called ${key} that ${reader.user} may see`);
  return key;
}

/** By its name or by its host. */
function serviceNamed(
  services: Iterable<ServiceView>,
  path: Call['path'],
): ServiceView | undefined {
  for (const each of services)
    if (each.namespace === path.namespace && (each.name === path.name || each.host === path.name))
      return each;
  return undefined;
}

async function listed(
  { mesh, data }: ConsoleDeps,
  { query }: Call,
  inScope: (namespace: string) => boolean,
) {
  const traffic = await trafficOf(data, query);
  const findings = mesh.findings();
  const allWorkloads = [...mesh.workloads()].filter(({ namespace }) => inScope(namespace));
  const workloads = byName(allWorkloads.map((view) => workloadRow(view, traffic)));
  const services = byName(
    [...mesh.services()]
      .filter(({ namespace }) => inScope(namespace))
      .map((view) => serviceRow(view, traffic, findings)),
  );
  const byNamespace = Map.groupBy(workloads, ({ namespace }) => namespace);
  const namespaces = [...mesh.namespaces()]
    .filter(({ name }) => inScope(name))
    .map((view) =>
      namespaceRow(view, { workloads: byNamespace.get(view.name) ?? [], findings, traffic }),
    );
  return { workloads, services, namespaces, findings };
}

async function overview(
  deps: ConsoleDeps,
  call: Call,
  inScope: (namespace: string) => boolean,
): Promise<OverviewAnswer> {
  const { mesh, clock } = deps;
  const { workloads, services, namespaces, findings } = await listed(deps, call, inScope);
  const all = { proxies: mesh.proxies(), control: mesh.control(), problems: mesh.problems() };
  const { certificates } = mesh.certificates();
  const isWhole = call.reader.namespaces === undefined;
  const items = attention({
    workloads,
    services,
    findings: findings.filter(({ resource }) => isSeen(call.reader, resource, inScope)),
    proxies: all.proxies.filter(({ namespace }) => inScope(namespace)),
    control: isWhole ? all.control : [],
    problems: isWhole ? all.problems : [],
    certificates: certificates.filter(({ proxy }) => inScope(proxy.split('/', 1)[0])),
    ejected: mesh.ejected().filter(({ service }) => inScope(service.split('/', 1)[0])),
    nowMs: clock.wallTime(),
  });
  return {
    generatedAt: rfc3339(clock),
    mesh: meshHealth({ ...all, certificates }),
    attention: items,
    namespaces,
  };
}

function isSeen(
  reader: Reader,
  resource: string,
  inScope: (namespace: string) => boolean,
): boolean {
  const namespace = namespaceOfResource(resource);
  return namespace === '' ? sees(reader, '') : inScope(namespace);
}
