/** The panel of a node. */
import type { ReactNode } from 'react';
import type { GraphAnswer, GraphEdge, GraphNode } from '#console/api/graph.ts';
import type { WorkloadAnswer } from '#console/api/lists.ts';
import { address } from '../../store/api.ts';
import { useNow } from '../../store/clock.ts';
import { useQuery } from '../../store/query.ts';
import { Chip } from '../../ui/chip.tsx';
import { absolute, relative, span } from '../../ui/format.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Link, nodeHref } from '../../ui/link.tsx';
import { Facts, Panel } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { BADGE_WORDS } from '../draw/glyphs.ts';
import { labelOf } from '../scene/edge-marks.ts';
import { trafficLine } from '../scene/node-marks.ts';
import { select, setFocus } from './options.ts';
import { Charts, Codes, FailedRequests, PanelHead, TopPaths } from './panel-parts.tsx';
import styles from './side-panel.module.css';

interface NodePanelProps {
  readonly node: GraphNode;
  readonly graph: GraphAnswer;
  readonly close: ReactNode;
}

export function NodePanel({ node, graph, close }: NodePanelProps) {
  const inbound = graph.edges.filter((edge) => edge.target === node.id);
  const outbound = graph.edges.filter((edge) => edge.source === node.id);
  const codes = new Map<string, number>();
  const flags = new Map<string, number>();
  for (const edge of inbound) {
    for (const [code, count] of Object.entries(edge.responseCodes))
      codes.set(code, (codes.get(code) ?? 0) + count);
    for (const [flag, count] of Object.entries(edge.flags))
      flags.set(flag, (flags.get(flag) ?? 0) + count);
  }
  const isNamed = node.kind !== 'external' && node.kind !== 'unknown';
  return (
    <>
      <PanelHead
        kind={node.namespace === '' ? node.kind : `${node.kind} in ${node.namespace}`}
        title={node.name}
        health={node.health}
        close={close}
      />
      <p className={styles.actions}>
        {isNamed && <Link href={nodeHref(node.id)}>Open its page</Link>}
        <Link
          href="#focus"
          onClick={(event) => {
            event.preventDefault();
            setFocus(node.id);
          }}
        >
          Only its neighbourhood
        </Link>
      </p>
      <Facts rows={factsOf(node)} />
      <Charts
        subject={{ node: node.id, direction: inbound.length > 0 ? 'inbound' : 'outbound' }}
        type={graph.type}
      />
      <Codes codes={Object.fromEntries(codes)} flags={Object.fromEntries(flags)} />
      <Ejected node={node} />
      <Peers title="Called by" edges={inbound} end="source" graph={graph} />
      <Peers title="Calls" edges={outbound} end="target" graph={graph} />
      {node.kind === 'workload' && !node.isOutside && <Applied node={node} />}
      {[...inbound, ...outbound].some((edge) => edge.protocol !== 'tcp') && (
        <TopPaths subject={{ node: node.id }} />
      )}
      <FailedRequests subject={{ node: node.id }} />
    </>
  );
}

function factsOf(node: GraphNode): (readonly [string, ReactNode])[] {
  const rows: (readonly [string, ReactNode])[] = [['Traffic', trafficLine(node)]];
  if (node.version !== '') rows.push(['Version', node.version]);
  if (node.replicas !== undefined)
    rows.push(['Replicas', `${node.replicas.ready} of ${node.replicas.desired} ready`]);
  if (node.isOutside) rows.push(['Mesh', 'outside: no proxy of the mesh speaks for it']);
  if (node.badges.length > 0) {
    rows.push([
      'Signs',
      <span key="signs" className={styles.codes}>
        {node.badges.map((badge) => (
          <Chip key={badge}>{BADGE_WORDS[badge]}</Chip>
        ))}
      </span>,
    ]);
  }
  return rows;
}

function Ejected({ node }: { node: GraphNode }) {
  if (node.ejected === undefined || node.ejected.length === 0) return null;
  return (
    <Panel title="Ejected endpoints">
      <ul>
        {node.ejected.map((each) => (
          <li key={each.address + each.by} className={styles.request}>
            <code>{each.address}</code>
            <span className={styles.number}>
              {each.remainingMs === undefined ? '' : `back in ${span(each.remainingMs / 1000)}`}
            </span>
            <p>
              {each.reason}, says {each.by}
            </p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

interface PeersProps {
  readonly title: string;
  readonly edges: readonly GraphEdge[];
  readonly end: 'source' | 'target';
  readonly graph: GraphAnswer;
}

function Peers({ title, edges, end, graph }: PeersProps) {
  if (edges.length === 0) return null;
  const names = new Map(graph.nodes.map((node) => [node.id, node.name]));
  return (
    <Panel title={title}>
      <ul className={styles.list}>
        {edges.map((edge) => (
          <li key={edge.id} title={edge.principals?.[end].join(', ')}>
            <HealthGlyph status={edge.health.status} />
            <button type="button" onClick={() => select([edge.id])}>
              {names.get(edge[end]) ?? edge[end]}
            </button>
            <span className={styles.number}>{labelOf(edge, 'rate') || 'idle'}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Who may call it, what else shapes it, and as whom it speaks. */
function Applied({ node }: { node: GraphNode }) {
  const query = useQuery<WorkloadAnswer>(
    address(`workloads/${encodeURIComponent(node.namespace)}/${encodeURIComponent(node.name)}`),
  );
  const nowMs = useNow();
  return (
    <Answered query={query} what="policies">
      {(workload) => (
        <>
          <Panel title="Policies and routes">
            <ul>
              {[...workload.policies, ...workload.config].map((each) => (
                <li key={each.resource} className={styles.request}>
                  <Link href={configHref(each.resource)}>{each.resource}</Link>
                  <span>{each.findings > 0 && <Chip state="degraded">{each.findings}</Chip>}</span>
                  <p>{each.effect}</p>
                </li>
              ))}
            </ul>
          </Panel>
          <Panel title="Identity">
            <p>
              <code>{workload.identity}</code>
            </p>
            {workload.certificates.map((each) => (
              <p
                key={each.proxy + each.serial}
                className={styles.reason}
                title={absolute(each.notAfter)}
              >
                Certificate {each.state}, ends {relative(each.notAfter, nowMs)}
              </p>
            ))}
          </Panel>
        </>
      )}
    </Answered>
  );
}

/** `Kind namespace/name`. */
function configHref(resource: string): string {
  const [kind, rest] = resource.split(' ');
  const [namespace, name] = rest.includes('/') ? rest.split('/') : ['-', rest];
  return `/config/${kind}/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
}
