/**
 * Configuration: GET /api/v1/config (ConfigsAnswer; `namespaces=`, `kinds=`), GET /api/v1/config/{kind}/{namespace}/{name} (one; namespace `-` for kinds that have none), PUT the same address with
 * `{ yaml, dryRun }` (applied with the reader's own rights; 403 in read-only mode), POST /api/v1/config/validate `{ yaml }`, and
 * GET /api/v1/schemas/{kind} (JSON schema, for completion). Two kinds are called Gateway: `Gateway` is the Gateway API's, in addresses and in `kinds=`
 * `Gateway.networking.istio.io` is Istio's, and any kind may be written so.
 */

export interface Finding {
  readonly code: string;
  readonly level: 'info' | 'warning' | 'error';
  readonly message: string;
  /** `Kind namespace/name`. */
  readonly resource: string;
  /** Field as `spec.http[0].route`, or empty. */
  readonly path: string;
  /** What to do. */
  readonly hint: string;
  /** From 1, where a text was judged. */
  readonly line?: number;
}

export interface ConfigsAnswer {
  readonly generatedAt: string;
  readonly objects: readonly ConfigRow[];
}

export interface ConfigRow {
  readonly kind: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly createdAt: string;
  /** One line of what it says. */
  readonly summary: string;
  readonly findings: readonly Finding[];
  /** How many proxies enforce it of how many should; absent where nobody reports it. */
  readonly enforced?: { readonly by: number; readonly of: number };
}

export interface ConfigAnswer extends ConfigRow {
  readonly yaml: string;
  readonly resourceVersion: string;
  /** `Kind namespace/name` that it speaks of, and that speak of it. */
  readonly references: readonly string[];
  readonly referencedBy: readonly string[];
  readonly isEditable: boolean;
}

export interface ValidateAnswer {
  readonly isValid: boolean;
  readonly findings: readonly Finding[];
}

export interface ApplyAnswer extends ValidateAnswer {
  readonly isApplied: boolean;
  /** Why not. */
  readonly error?: string;
}
