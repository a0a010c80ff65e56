/**
 * The past out of an external Prometheus: a graph at a moment, the charts of a node or edge. What the store holds second by second it answers itself: that is exact,
 * and the newest scrape is never older. Anything else that is past comes from there, so that it outlives the control plane's pods and all replicas say the same
 * (docs/decisions/024). When it cannot answer, the store does, and the answer says so in its `notice`.
 */
import { isMeshError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { SeriesAnswer } from '../api/series.ts';
import type { GraphRequest, Packing, SeriesRequest, Visible } from '../console-data.ts';
import type { ConsoleEngine } from '../engine/console-engine.ts';
import type { MeshPicture } from '../graph/mesh-picture.ts';
import type { PrometheusClient, When } from './client.ts';
import { RANGE_SECONDS_MIN } from './limits.ts';
import { Past, type Roles } from './past.ts';
import {
  edgeQueries,
  type Members,
  type Selection,
  scrapedQuery,
  selectionsOfEdge,
  selectionsOfNamespaces,
  selectionsOfNode,
} from './queries.ts';

export interface PrometheusHistoryDeps {
  readonly log: Logger;
  readonly engine: ConsoleEngine;
  readonly client: Pick<PrometheusClient, 'ask'>;
  readonly match: string;
  readonly clusterId: string;
}

export class PrometheusHistory {
  readonly #deps: PrometheusHistoryDeps;

  constructor(deps: PrometheusHistoryDeps) {
    this.#deps = deps;
  }

  async graph(request: GraphRequest, packing: Packing = 'identity'): Promise<Uint8Array> {
    const { engine } = this.#deps;
    if (request.atMs === undefined) return engine.graphJson(request, packing).slice();
    const to = Math.floor(request.atMs / 1000);
    if (to - request.windowSeconds >= engine.store.heldFrom())
      return engine.graphJson(request, packing).slice();
    const windowSeconds = Math.max(request.windowSeconds, RANGE_SECONDS_MIN);
    const selections = selectionsOfNamespaces(about(request.namespaces, request.visible));
    try {
      const past = new Past(this.#roles(), { count: 1, indexOf: () => 0 });
      await this.#fill(past, selections, { at: to }, windowSeconds);
      const { series, outcomes } = past;
      const window = { series, outcomes, counts: past.window, from: to - windowSeconds, to };
      return engine.pastGraph(request, packing, window);
    } catch (error) {
      return engine.graphWithNotice(request, packing, this.#notice(error));
    }
  }

  async series(request: SeriesRequest): Promise<SeriesAnswer> {
    const { engine } = this.#deps;
    const heldFrom = engine.store.heldFrom();
    if (request.fromMs / 1000 >= heldFrom) return engine.series(request);
    const selections = this.#selectionsOf(request);
    if (selections === undefined) return engine.series(request);
    const steps = engine.stepsOf(request, RANGE_SECONDS_MIN);
    const { from, to, stepSeconds } = steps;
    // Steps that the store does not hold whole: they come first.
    const count = Math.min(steps.count, Math.ceil((heldFrom - from) / stepSeconds));
    try {
      const past = new Past(this.#roles(), {
        count,
        indexOf: (second) => Math.round((second - from) / stepSeconds) - 1,
      });
      const until = Math.min(to, from + count * stepSeconds);
      // A value is of the step that ends there.
      const when = { from: from + stepSeconds, to: until, stepSeconds };
      await this.#fill(past, selections, when, stepSeconds);
      return engine.pastSeries(request, steps, past);
    } catch (error) {
      return { ...engine.series(request), notice: this.#notice(error) };
    }
  }

  async #fill(
    past: Past,
    selections: readonly Selection[],
    when: When,
    rangeSeconds: number,
  ): Promise<void> {
    if (selections.length === 0) return;
    const { client, match } = this.#deps;
    const queries = edgeQueries(selections, { rangeSeconds, match });
    if ('from' in when) queries.push(scrapedQuery(match));
    const answers = await client.ask(
      queries.map(({ promql }) => promql),
      when,
    );
    past.book(queries.map(({ measure }, index) => ({ measure, rows: answers[index] })));
  }

  #selectionsOf({ of, visible }: SeriesRequest): Selection[] | undefined {
    const membersOf = (id: string) => membersOfNode(id, this.#deps.engine.mesh);
    const selections =
      'edge' in of
        ? selectionsOfEdge(of.edge, membersOf)
        : selectionsOfNode(of.node, of.direction, membersOf(of.node));
    // Whoever may see nothing is told nothing, and nobody is asked.
    return visible?.length === 0 ? [] : selections;
  }

  #roles(): Roles {
    const { engine, clusterId } = this.#deps;
    const { mesh } = engine;
    return {
      clusterId,
      roleOf: (key) => mesh.workloads.get(key)?.role,
      workloadOfProxy: (pod) => mesh.workloadOfProxy(pod),
    };
  }

  #notice(error: unknown): string {
    if (!isMeshError(error)) throw error;
    this.#deps.log.warn('the Prometheus that has the past does not answer', {
      code: error.code,
      reason: error.message,
    });
    return `Prometheus cannot be asked (${error.message}): this is what the control plane has kept itself.`;
  }
}

/** Namespaces that an answer can be about; undefined: all. */
function about(namespaces: readonly string[], visible: Visible): readonly string[] | undefined {
  if (namespaces.length === 0) return visible;
  return visible === undefined ? namespaces : namespaces.filter((name) => visible.includes(name));
}

/** Workloads behind a service or an app, by name. */
function membersOfNode(id: string, mesh: MeshPicture): Members {
  const [kind, namespace = '', name = ''] = id.split('/');
  const workloads: string[] = [];
  for (const workload of mesh.workloads.values()) {
    if (workload.namespace !== namespace) continue;
    const isMember =
      kind === 'app'
        ? workload.app === name
        : kind === 'service' &&
          workload.services.some((key) => mesh.services.get(key)?.name === name);
    if (isMember) workloads.push(workload.name);
  }
  return { workloads };
}
