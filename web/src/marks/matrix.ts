/**
 * Who talks to whom, and how, as a matrix: sources down, targets across, a cell for each pair that was seen. Its state is the worst of
 * what was seen: one plaintext request among thousands is what the reader looks for. Pure.
 */
import type { MtlsCell } from '#console/api/mesh.ts';

export type CellState = 'mtls' | 'mixed' | 'plaintext' | 'denied';

export interface MatrixCell {
  readonly source: string;
  readonly target: string;
  readonly state: CellState;
  readonly total: number;
  /** Share of what was let through that was under mutual TLS. */
  readonly share: number;
  readonly mtls: number;
  readonly plaintext: number;
  readonly denied: number;
  /** 0 to 1, by the logarithm of the total. */
  readonly weight: number;
}

export interface MatrixAxis {
  readonly id: string;
  /** Empty for namespaces and what is outside. */
  readonly namespace: string;
  readonly name: string;
}

export interface Matrix {
  readonly sources: readonly MatrixAxis[];
  readonly targets: readonly MatrixAxis[];
  readonly cells: ReadonlyMap<string, MatrixCell>;
  readonly totals: Readonly<Record<'mtls' | 'plaintext' | 'denied', number>>;
}

export const cellKey = (source: string, target: string) => `${source} ${target}`;

export function matrix(cells: readonly MtlsCell[], by: 'namespace' | 'workload'): Matrix {
  const summed = new Map<string, MtlsCell>();
  for (const cell of cells) {
    const source = by === 'namespace' ? namespaceOf(cell.source) : cell.source;
    const target = by === 'namespace' ? namespaceOf(cell.target) : cell.target;
    const before = summed.get(cellKey(source, target));
    summed.set(cellKey(source, target), {
      source,
      target,
      mtls: cell.mtls + (before?.mtls ?? 0),
      plaintext: cell.plaintext + (before?.plaintext ?? 0),
      denied: cell.denied + (before?.denied ?? 0),
    });
  }
  const seen = [...summed.values()].filter((cell) => cell.mtls + cell.plaintext + cell.denied > 0);
  const most = seen.reduce(
    (top, cell) => Math.max(top, cell.mtls + cell.plaintext + cell.denied),
    1,
  );
  const sum = (pick: (cell: MtlsCell) => number) => seen.reduce((all, cell) => all + pick(cell), 0);
  return {
    sources: axis(seen.map((cell) => cell.source)),
    targets: axis(seen.map((cell) => cell.target)),
    cells: new Map(seen.map((cell) => [cellKey(cell.source, cell.target), judge(cell, most)])),
    totals: {
      mtls: sum((cell) => cell.mtls),
      plaintext: sum((cell) => cell.plaintext),
      denied: sum((cell) => cell.denied),
    },
  };
}

function judge(cell: MtlsCell, most: number): MatrixCell {
  const through = cell.mtls + cell.plaintext;
  const total = through + cell.denied;
  return {
    ...cell,
    total,
    share: through === 0 ? 0 : cell.mtls / through,
    state: stateOf(cell),
    weight: Math.log1p(total) / Math.log1p(most),
  };
}

function stateOf({ mtls, plaintext, denied }: MtlsCell): CellState {
  if (mtls + plaintext === 0) return 'denied';
  if (plaintext === 0) return denied > 0 && denied >= mtls ? 'denied' : 'mtls';
  return mtls === 0 ? 'plaintext' : 'mixed';
}

/** `workload/ns/name` and its like; what is outside stands for itself. */
export function namespaceOf(id: string): string {
  const parts = id.split('/');
  return parts.length >= 3 ? parts[1] : id;
}

function axisOf(id: string): MatrixAxis {
  const [, namespace, ...name] = id.split('/');
  return name.length > 0
    ? { id, namespace, name: name.join('/') }
    : { id, namespace: '', name: id.replace(/^external\//, '') };
}

/** By namespace and name; what has none comes last, as it is outside. */
function axis(ids: readonly string[]): MatrixAxis[] {
  const rank = (each: MatrixAxis) => `${each.namespace === '' && each.id.includes('/') ? 1 : 0}`;
  return [...new Set(ids)]
    .map(axisOf)
    .sort(
      (a, b) =>
        rank(a).localeCompare(rank(b)) ||
        a.namespace.localeCompare(b.namespace) ||
        a.name.localeCompare(b.name),
    );
}
