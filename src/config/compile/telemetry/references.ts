/** What is wrong with a Telemetry in its mesh: providers that MeshConfig lacks or that cannot do what is asked, older ones in its place. */
import type { Finding } from '../finding.ts';
import { Findings } from '../finding.ts';
import { byAge } from '../istio-kinds.ts';
import type { CompiledTelemetry } from './compiled.ts';
import type { CompiledProvider, MeshTelemetry } from './mesh.ts';
import { isNamespaceWide } from './select.ts';

const USES = {
  metrics: { can: ({ hasMetrics }: CompiledProvider) => hasMetrics, hint: 'use `prometheus`' },
  accessLogging: {
    can: ({ accessLog }: CompiledProvider) => accessLog !== undefined,
    hint: 'use a provider of kind envoyFileAccessLog or envoyOtelAls',
  },
  tracing: {
    can: ({ tracing }: CompiledProvider) => tracing !== undefined,
    hint: 'use a provider of kind opentelemetry',
  },
} as const;

export function referenceFindings(
  telemetry: CompiledTelemetry,
  mesh: MeshTelemetry,
  sameNamespace: readonly CompiledTelemetry[],
): readonly Finding[] {
  const findings = new Findings('Telemetry', telemetry.identity);
  for (const [use, { can, hint }] of Object.entries(USES))
    for (const [at, { providers }] of telemetry[use as keyof typeof USES].entries())
      for (const [index, name] of providers.entries()) {
        const path = `spec.${use}[${at}].providers[${index}].name`;
        const provider = mesh.providers.get(name.toLowerCase());
        if (provider === undefined)
          findings.missing(
            path,
            `MeshConfig has no extension provider ${name}: nothing goes there`,
            'add it to extensionProviders of the ConfigMap istio, or correct the name',
          );
        else if (!can(provider))
          findings.ineffective(path, `the provider ${name} does not take this`, { hint });
      }
  if (!isNamespaceWide(telemetry)) return findings.list;
  const [oldest] = sameNamespace
    .filter(isNamespaceWide)
    .sort((left, right) => byAge(left.identity, right.identity));
  if (oldest !== undefined && oldest.identity.name !== telemetry.identity.name)
    findings.conflict(
      'spec',
      `Telemetry ${oldest.identity.name} is older and in force for the whole namespace`,
      'merge the two, or give this one a selector or targetRefs',
    );
  return findings.list;
}
