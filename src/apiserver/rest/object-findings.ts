/** All that the API server has against an object whose defaults are filled in: what a write is refused for, and `tulle validate` tells. */
import type { ApiObject } from '#kube/meta/object.ts';
import { strategyOf } from '../kinds/strategy.ts';
import type { SchemaFinding, SchemaKind, SchemaProvider } from '../schema-provider.ts';
import { type NamedKind, validateMeta } from './object-meta.ts';

export function objectFindings(
  schemas: SchemaProvider,
  { kind, object, old }: { kind: SchemaKind & NamedKind; object: ApiObject; old?: ApiObject },
): SchemaFinding[] {
  const findings = [...validateMeta(kind, object), ...schemas.validate(kind, object, old)];
  // The kind's own rules read fields whose shape the schema vouches for.
  if (findings.length > 0) return findings;
  return strategyOf(kind.table).validate?.(object, old) ?? [];
}
