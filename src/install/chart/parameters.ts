/** The parameters of the manifests, each as a placeholder for what Helm knows. */
import type { Parameters } from '../manifests/parameters.ts';
import { VALUE_ROWS } from '../values/spec.ts';
import { setMember, type Tree } from '../values/values.ts';
import { Placeholder } from './placeholder.ts';

export function chartParameters(): Parameters {
  const tree: Tree = {};
  for (const row of VALUE_ROWS) {
    if (row.notInChart === true) continue;
    setMember(tree, row.path.split('.'), new Placeholder(`.Values.${row.path}`, row.type));
  }
  return {
    ...tree,
    namespace: new Placeholder('.Release.Namespace', 'string'),
    suffix: new Placeholder('include "tulle.suffix" .', 'string'),
    managedBy: new Placeholder('.Release.Service', 'string'),
    mesh: new Placeholder('include "tulle.mesh" .', 'block'),
  } as unknown as Parameters;
}

/** What `parametersOf` works out, in Helm's words. */
export const HELPERS = `{{- define "tulle.suffix" -}}
{{- if ne .Values.revision "default" }}-{{ .Values.revision }}{{ end -}}
{{- end -}}

{{- define "tulle.mesh" -}}
{{- $mesh := dict "rootNamespace" .Release.Namespace "trustDomain" .Values.trustDomain -}}
{{- toYaml (mergeOverwrite $mesh (deepCopy .Values.meshConfig)) -}}
{{- end -}}
`;
