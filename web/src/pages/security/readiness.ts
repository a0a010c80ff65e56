/**
 * What the window says before a namespace insists on mutual TLS: whom that would refuse, and the command that does it. It is what was seen, not a proof: who calls
 * once a day may not be in it. Pure.
 */
import type { MtlsAnswer, MtlsCell } from '#console/api/mesh.ts';
import { namespaceOf } from '../../marks/matrix.ts';

export type ModeRow = MtlsAnswer['modes'][number] & {
  /** What reached its workloads. Gateways are not among them: they take plaintext from outside whatever the mode. */
  readonly mtls: number;
  readonly plaintext: number;
};

export function modeRows({ modes, cells }: Pick<MtlsAnswer, 'modes' | 'cells'>): ModeRow[] {
  return modes.map((mode) => {
    const into = intoNamespace(cells, mode.namespace);
    const sum = (of: 'mtls' | 'plaintext') => into.reduce((all, cell) => all + cell[of], 0);
    return { ...mode, mtls: sum('mtls'), plaintext: sum('plaintext') };
  });
}

/** The namespace to be STRICT next: of those that mutual TLS reaches, the one with the least plaintext, and of equal ones the busiest. */
export function nextStrict(rows: readonly ModeRow[]): ModeRow | undefined {
  return rows
    .filter(({ mode, mtls }) => mode !== 'STRICT' && mtls > 0)
    .toSorted((a, b) => a.plaintext - b.plaintext || b.mtls - a.mtls)[0];
}

function intoNamespace(cells: readonly MtlsCell[], namespace: string): MtlsCell[] {
  return cells.filter(
    ({ target }) => namespaceOf(target) === namespace && !target.startsWith('gateway/'),
  );
}

export function strictCommand(namespace: string): string {
  const metadata = `metadata:\n  name: default\n  namespace: ${namespace}\n`;
  const object = `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n${metadata}spec:\n  mtls:\n    mode: STRICT\n`;
  return `tulle apply -f - <<'EOF'\n${object}EOF`;
}
