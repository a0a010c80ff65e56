/**
 * In which dress an object leaves: whole, as Table (kubectl get), or as PartialObjectMetadata. Chosen by Accept;
 * the first media type that can be served wins.
 */
import type { Clock } from '#base/clock.ts';
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';
import { apiVersionOf, type ServedKind } from '../kinds/served-kind.ts';
import { type TableForm, tableColumns, tableRow } from '../table/table.ts';
import { StatusError } from './status-error.ts';

export interface Representation {
  form: 'object' | 'Table' | 'PartialObjectMetadata';
  /** How much of the object each table row carries. */
  includeObject: TableForm['includeObject'];
}

const META = 'meta.k8s.io/v1';

export function negotiate(accept: string | null, query: URLSearchParams): Representation {
  const includeObject = (query.get('includeObject') ?? 'Metadata') as TableForm['includeObject'];
  const types = (accept ?? '*/*').split(',').map((type) => type.trim().toLowerCase());
  for (const type of types) {
    const [media, ...parameters] = type.split(';').map((part) => part.trim());
    if (!isJson(media)) continue;
    const as = parameterOf(parameters, 'as');
    if (as === undefined) return { form: 'object', includeObject };
    if (parameterOf(parameters, 'g') !== 'meta.k8s.io' || parameterOf(parameters, 'v') !== 'v1')
      continue;
    if (as === 'table') return { form: 'Table', includeObject };
    if (as === 'partialobjectmetadata' || as === 'partialobjectmetadatalist')
      return { form: 'PartialObjectMetadata', includeObject };
  }
  throw new StatusError(
    406,
    'NotAcceptable',
    'only the following media types are accepted: application/json',
  );
}

export function isJson(media: string): boolean {
  return (
    media === 'application/json' || media === 'application/*' || media === '*/*' || media === ''
  );
}

function parameterOf(parameters: readonly string[], name: string): string | undefined {
  return parameters.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
}

export interface Presenter {
  one(object: ApiObject): JsonObject;
  list(items: readonly ApiObject[], meta: JsonObject): JsonObject;
  /** One watch event's object; the first one of a Table stream carries the columns. */
  event(object: ApiObject, first: boolean): JsonObject;
}

export function presenterOf(
  kind: ServedKind,
  { form, includeObject }: Representation,
  clock: Clock,
): Presenter {
  if (form === 'Table') {
    const columns = tableColumns(kind);
    const shape = { includeObject, now: clock.wallTime() };
    const table = (items: readonly ApiObject[], metadata: JsonObject, withColumns = true) => ({
      kind: 'Table',
      apiVersion: META,
      metadata,
      columnDefinitions: withColumns ? columns : null,
      rows: items.map((item) => tableRow(kind, item, shape)),
    });
    return {
      one: (object) => table([object], { resourceVersion: object.metadata.resourceVersion }),
      list: (items, meta) => table(items, meta),
      event: (object, first) =>
        table([object], { resourceVersion: object.metadata.resourceVersion }, first),
    };
  }
  if (form === 'PartialObjectMetadata') {
    const partial = ({ metadata }: ApiObject) => ({
      kind: 'PartialObjectMetadata',
      apiVersion: META,
      metadata,
    });
    return {
      one: partial,
      list: (items, metadata) => ({
        kind: 'PartialObjectMetadataList',
        apiVersion: META,
        metadata,
        items: items.map(partial),
      }),
      event: partial,
    };
  }
  return {
    one: (object) => object,
    list: (items, metadata) => ({
      kind: `${kind.kind}List`,
      apiVersion: apiVersionOf(kind),
      metadata,
      items,
    }),
    event: (object) => object,
  };
}
