/** The examples in docs/tracing.md and docs/access-logs.md are compiled without a finding. */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { Findings } from '../finding.ts';
import { compileTelemetry } from './compile.ts';
import type { MeshTelemetrySpec, TelemetrySpec } from './kinds.ts';
import { compileMeshTelemetry } from './mesh.ts';

const DOCS = join(import.meta.dir, '../../../../docs');

interface Example {
  kind?: string;
  metadata?: { name: string; namespace: string };
  spec?: TelemetrySpec;
  extensionProviders?: MeshTelemetrySpec['extensionProviders'];
}

function examplesOf(page: string): Example[] {
  const text = readFileSync(join(DOCS, page), 'utf8');
  return [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    parseAllDocuments(block).map((document) => document.toJS() as Example),
  );
}

test.each([
  ['tracing.md', 2],
  ['access-logs.md', 2],
])('the examples of %s are as good as they look', (page, count) => {
  const examples = examplesOf(page);
  expect(examples.length).toBe(count);
  for (const { kind, metadata, spec, extensionProviders } of examples) {
    if (kind === 'Telemetry' && metadata !== undefined && spec !== undefined) {
      expect(compileTelemetry({ metadata, spec }).findings).toEqual([]);
      continue;
    }
    const findings = new Findings('ConfigMap', { namespace: 'istio-system', name: 'istio' });
    const { providers } = compileMeshTelemetry({ extensionProviders }, findings);
    expect(findings.list).toEqual([]);
    for (const { name } of extensionProviders ?? []) {
      const provider = providers.get(String(name).toLowerCase());
      expect(provider?.tracing ?? provider?.accessLog).toBeDefined();
    }
  }
});
