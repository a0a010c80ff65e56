/**
 * The Helm chart, made of the same manifests that `tulle install` applies: templates, values, schema and definitions. `bun
 * tools/chart.ts` writes it to chart/, and a test says when that is not up to date.
 */
import { stringify } from 'yaml';
import { VERSION } from '#base/version.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import { crdsToInstall } from '../crds/install-crds.ts';
import { KUBERNETES_MIN } from '../limits.ts';
import { allManifests } from '../manifests/manifests.ts';
import { LABEL, type Manifest } from '../manifests/object.ts';
import { valuesJsonSchema } from '../values/json-schema.ts';
import { VALUE_ROWS } from '../values/spec.ts';
import { farewellHooks } from './farewell.ts';
import { chartParameters, HELPERS } from './parameters.ts';
import { templateOf } from './placeholder.ts';

const MADE = 'Made by tools/chart.ts from src/install: change it there.';

/** Text by path within the chart. */
export function chartFiles(crds: readonly CustomResourceDefinition[]): Map<string, string> {
  return new Map([
    ['Chart.yaml', chartYaml()],
    ['values.yaml', valuesYaml()],
    ['values.schema.json', `${JSON.stringify(valuesJsonSchema(), null, 2)}\n`],
    ['.helmignore', '.git\n'],
    ['templates/_helpers.tpl', HELPERS],
    ['templates/NOTES.txt', NOTES],
    ...templates(),
    ...crdsToInstall(crds, 'Helm').map((crd): [string, string] => [
      `crds/${crd.metadata.name}.yaml`,
      definition(crd),
    ]),
  ]);
}

function chartYaml(): string {
  const chart = {
    apiVersion: 'v2',
    name: 'tulle',
    description: 'An ambient service mesh, compatible with Istio’s resources and wire protocols',
    type: 'application',
    version: VERSION,
    appVersion: VERSION,
    kubeVersion: `>=${KUBERNETES_MIN}-0`,
  };
  return `# ${MADE}\n${stringify(chart)}`;
}

/** One file for each part; Helm makes the namespace, or is told one that is there. */
function templates(): Map<string, string> {
  const files = new Map<string, string>();
  for (const manifest of allManifests(chartParameters())) {
    if (manifest.object.kind === 'Namespace') continue;
    const part = manifest.object.metadata.labels?.[LABEL.component];
    const path = `templates/${part}.yaml`;
    files.set(path, (files.get(path) ?? `{{- /* ${MADE} */}}\n`) + templateText(manifest));
  }
  const hooks = farewellHooks(chartParameters()).map((object) => `---\n${templateOf(object)}`);
  files.set('templates/farewell.yaml', `{{- /* ${MADE} */}}\n${hooks.join('')}`);
  return files;
}

function templateText({ object, when }: Manifest): string {
  const text = `---\n${templateOf(object)}`;
  return when === undefined ? text : `{{- if .Values.${when} }}\n${text}{{- end }}\n`;
}

function valuesYaml(): string {
  const lines: string[] = [`# ${MADE}`];
  let group = '';
  for (const row of VALUE_ROWS) {
    if (row.notInChart === true) continue;
    const path = row.path.split('.');
    const name = path[path.length - 1];
    const above = path.length === 1 ? '' : path[0];
    if (above !== '' && above !== group) lines.push('', `${above}:`);
    else if (above === '') lines.push('');
    group = above;
    const indent = above === '' ? '' : '  ';
    lines.push(`${indent}# ${row.text} Default: ${row.reason}.`);
    const yaml = stringify({ [name]: row.default }, { lineWidth: 0 }).trimEnd();
    lines.push(...yaml.split('\n').map((line) => indent + line));
  }
  return `${lines.join('\n')}\n`;
}

/**
 * As JSON, which is YAML, and without descriptions: Helm keeps the whole chart in one Secret of a megabyte. `tulle install` makes the
 * same definitions with them, for kubectl explain.
 */
function definition(crd: CustomResourceDefinition): string {
  const text = JSON.stringify(crd, (name, value) =>
    name === 'description' && typeof value === 'string' ? undefined : value,
  );
  return `# ${MADE}\n${text}\n`;
}

const NOTES = `Tulle {{ .Chart.AppVersion }} is on its way in namespace {{ .Release.Namespace }}:
  kubectl -n {{ .Release.Namespace }} rollout status deployment/istiod{{ include "tulle.suffix" . }}
{{- if .Values.node.enabled }}
  kubectl -n {{ .Release.Namespace }} rollout status daemonset/ztunnel

Pods of the node proxies need a namespace that admits them:
  kubectl label namespace {{ .Release.Namespace }} pod-security.kubernetes.io/enforce=privileged
{{- end }}

next:
  kubectl label namespace NAMESPACE istio.io/dataplane-mode=ambient
  tulle status
`;
