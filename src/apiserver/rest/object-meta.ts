/** metadata of objects on their way in: generated names, what the server owns, and Kubernetes' rules for names and labels. */
import type { Random } from '#base/random.ts';
import { isLabelKey, isLabelValue } from '#kube/meta/label-selector.ts';
import { type ApiObject, cloneJson, equalJson, type JsonObject } from '#kube/meta/object.ts';
import type { ServedKind } from '../kinds/served-kind.ts';
import {
  ANNOTATION_BYTES_MAX,
  DNS_LABEL_LENGTH_MAX,
  DNS_SUBDOMAIN_LENGTH_MAX,
  GENERATED_BASE_LENGTH_MAX,
  GENERATED_SUFFIX_LENGTH,
} from '../limits.ts';
import type { SchemaFinding } from '../schema-provider.ts';

/** Kubernetes' alphabet for generated names: no vowels, no 0 1 3. */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SERVICE_NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_NAMED = new Set(['/namespaces']);

export function generateName(base: string, random: Random): string {
  let suffix = '';
  for (let index = 0; index < GENERATED_SUFFIX_LENGTH; index++)
    suffix += SUFFIX_ALPHABET[random.integer(SUFFIX_ALPHABET.length)];
  return base.slice(0, GENERATED_BASE_LENGTH_MAX) + suffix;
}

/** Whether something besides metadata and status differs: what metadata.generation counts. */
export function specChanged(left: ApiObject, right: ApiObject, hasStatus: boolean): boolean {
  const strip = ({ metadata, apiVersion, status, ...rest }: ApiObject): JsonObject =>
    hasStatus ? rest : { ...rest, status };
  return !equalJson(strip(left), strip(right));
}

/** Equal but for the bookkeeping that a write itself makes: then the write is none. */
export function sameContent(left: ApiObject, right: ApiObject): boolean {
  return equalJson(withoutTimes(left), withoutTimes(right));
}

function withoutTimes(object: ApiObject): ApiObject {
  const { resourceVersion: _, ...metadata } = object.metadata;
  const managedFields = metadata.managedFields?.map(({ time: __, ...entry }) => entry);
  return cloneJson({ ...object, metadata: { ...metadata, managedFields } });
}

/** What the rules for names ask of a kind. */
export type NamedKind = Pick<ServedKind, 'group' | 'table'>;

export function validateMeta(kind: NamedKind, object: ApiObject): SchemaFinding[] {
  const { name, labels, annotations } = object.metadata;
  const findings: SchemaFinding[] = [];
  const why = nameRefusal(kind, name);
  if (why !== undefined)
    findings.push({
      field: 'metadata.name',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(name)}: ${why}`,
    });
  validateLabels(labels, findings);
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    bytes += key.length + String(value).length;
    if (!isLabelKey(key.toLowerCase())) findings.push(badKey('metadata.annotations', key));
  }
  if (bytes > ANNOTATION_BYTES_MAX)
    findings.push({
      field: 'metadata.annotations',
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${ANNOTATION_BYTES_MAX} bytes`,
    });
  return findings;
}

function validateLabels(
  labels: Record<string, string> | undefined,
  findings: SchemaFinding[],
): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (!isLabelKey(key)) findings.push(badKey('metadata.labels', key));
    if (typeof value === 'string' && isLabelValue(value)) continue;
    findings.push({
      field: 'metadata.labels',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
    });
  }
}

function badKey(field: string, key: string): SchemaFinding {
  return {
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(key)}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
  };
}

function nameRefusal(kind: NamedKind, name: string): string | undefined {
  if (kind.group === 'rbac.authorization.k8s.io')
    return /[/%]/.test(name) || name === '.' || name === '..'
      ? "may not contain '/' or '%'"
      : undefined;
  if (kind.table === '/services')
    return SERVICE_NAME.test(name) && name.length <= DNS_LABEL_LENGTH_MAX
      ? undefined
      : "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
  if (LABEL_NAMED.has(kind.table))
    return LABEL.test(name) && name.length <= DNS_LABEL_LENGTH_MAX
      ? undefined
      : "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
  return SUBDOMAIN.test(name) && name.length <= DNS_SUBDOMAIN_LENGTH_MAX
    ? undefined
    : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
}
