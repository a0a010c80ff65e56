/** The schemas of served CRDs by group, version and kind; a CRD is checked here before it is served. */
import type { Schema } from '#config/schema/schema.ts';
import { checkStructural } from '#config/schema/structural.ts';
import type { CrdSpec } from '#crds/builtin-crds.ts';
import { type ApiObject, cloneJson } from '#kube/meta/object.ts';
import type { SchemaFinding } from '../schema-provider.ts';

export interface CustomSchema {
  schema: Schema;
  /** metadata is ObjectMeta instead of a bare object: for apply and OpenAPI. */
  typed: Schema;
  namespaced: boolean;
  plural: string;
}

export class CrdRegistry {
  readonly #kinds = new Map<string, CustomSchema>();
  readonly #objectMeta: () => Schema;

  constructor(objectMeta: () => Schema) {
    this.#objectMeta = objectMeta;
  }

  /** `trusted` skips the structural check: the built-in CRDs are our own. */
  add(crd: ApiObject, trusted: boolean): SchemaFinding[] {
    const spec = crd.spec as CrdSpec;
    const findings: SchemaFinding[] = [];
    const schemas = new Map<string, Schema>();
    for (const [index, version] of (spec.versions ?? []).entries()) {
      const path = `spec.versions[${index}].schema.openAPIV3Schema`;
      const schema = version.schema?.openAPIV3Schema;
      if (!trusted) findings.push(...checkStructural(schema, path));
      if (schema !== undefined && version.served)
        schemas.set(version.name, trusted ? schema : cloneJson(schema));
    }
    if (findings.length > 0) return findings;
    this.remove(crd);
    for (const [version, schema] of schemas) {
      this.#kinds.set(kindKey({ group: spec.group, version, kind: spec.names.kind }), {
        schema,
        typed: this.#typed(schema),
        namespaced: spec.scope === 'Namespaced',
        plural: spec.names.plural,
      });
    }
    return [];
  }

  remove(crd: ApiObject): void {
    const spec = crd.spec as CrdSpec;
    for (const key of [...this.#kinds.keys()]) {
      const [group, , kind] = key.split('/');
      if (group === spec.group && kind === spec.names.kind) this.#kinds.delete(key);
    }
  }

  find(kind: { group: string; version: string; kind: string }): CustomSchema | undefined {
    return this.#kinds.get(kindKey(kind));
  }

  /** The metadata node resolves when it is first read: ObjectMeta costs a file read. */
  #typed(schema: Schema): Schema {
    const objectMeta = this.#objectMeta;
    const metadata: Schema = {
      $ref: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
      description:
        "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
      get $target() {
        return objectMeta();
      },
    };
    return {
      ...schema,
      properties: { ...HEAD, ...schema.properties, metadata },
    };
  }
}

const HEAD: Record<string, Schema> = {
  apiVersion: { type: 'string', description: 'The group and version of the representation.' },
  kind: { type: 'string', description: 'The kind of the object, in CamelCase.' },
};

function kindKey(kind: { group: string; version: string; kind: string }): string {
  return `${kind.group}/${kind.version}/${kind.kind}`;
}
