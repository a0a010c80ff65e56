/** One kind at one version as the server offers it. Built-in rows and CRDs both become this. */
import type { OpenApiKind } from '../schema-provider.ts';

export interface PrinterColumn {
  name: string;
  type: string;
  jsonPath: string;
  description?: string;
  format?: string;
  priority?: number;
}

export interface ScalePaths {
  specReplicasPath: string;
  statusReplicasPath: string;
  labelSelectorPath?: string;
}

export interface ServedKind extends OpenApiKind {
  singular: string;
  shortNames: readonly string[];
  categories: readonly string[];
  /** Where objects of all versions are stored: `group/resource`. */
  table: string;
  /** From a CRD. */
  custom: boolean;
  /** Answers a create and stores nothing: TokenReview and its like. */
  virtual: boolean;
  /** metadata.generation counts changes of the spec. */
  counted: boolean;
  columns?: readonly PrinterColumn[];
  scale?: ScalePaths;
}

export const STORED_VERBS = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
] as const;

export function apiVersionOf(kind: { group: string; version: string }): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

/** `deployments.apps`; core kinds have no suffix. */
export function qualifiedResource(kind: { group: string; resource: string }): string {
  return kind.group === '' ? kind.resource : `${kind.resource}.${kind.group}`;
}

export function hasSubresource(kind: ServedKind, name: string): boolean {
  return kind.subresources.includes(name);
}
