import { describe, expect, test } from 'bun:test';
import { VERSION } from '#base/version.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import { loadCrds } from '#crds/crd-cache.ts';
import { MADE_BY } from '../manifests/object.ts';
import {
  BUNDLE_VERSION,
  CHANNEL,
  type CrdAction,
  crdsToInstall,
  planCrds,
} from './install-crds.ts';

const OURS = crdsToInstall(loadCrds(), 'tulle');

/** One as somebody else installed it. */
function foreign(
  name: string,
  versions: readonly string[],
  annotations: Record<string, string> = {},
): CustomResourceDefinition {
  const crd = OURS.find(({ metadata }) => metadata.name === name);
  if (crd === undefined) throw new Error(`no ${name}`);
  const labels = { 'app.kubernetes.io/managed-by': 'Helm', 'app.kubernetes.io/part-of': 'istio' };
  return {
    ...crd,
    metadata: { name, labels, annotations },
    spec: {
      ...crd.spec,
      versions: versions.map((version) => ({ name: version, served: true, storage: true })),
    },
  };
}

function actionOn(name: string, existing: CustomResourceDefinition[]): CrdAction | undefined {
  return planCrds(OURS, existing).find((action) =>
    'crd' in action ? action.crd.metadata.name === name : action.name === name,
  );
}

const VIRTUAL_SERVICES = 'virtualservices.networking.istio.io';
const GATEWAYS = 'gateways.gateway.networking.k8s.io';
const TCP_ROUTES = 'tcproutes.gateway.networking.k8s.io';
const STANDARD = { [BUNDLE_VERSION]: 'v1.5.1', [CHANNEL]: 'standard' };

describe('planCrds', () => {
  test('creates all of them on an empty cluster', () => {
    expect(new Set(planCrds(OURS, []).map((action) => action.do))).toEqual(new Set(['create']));
  });

  test('brings those of an older or the same version up to date, and leaves those of a newer one', () => {
    const made = (version: string) => [foreign(VIRTUAL_SERVICES, ['v1'], { [MADE_BY]: version })];
    expect(actionOn(VIRTUAL_SERVICES, made('0.0.1'))?.do).toBe('update');
    expect(actionOn(VIRTUAL_SERVICES, made(VERSION))?.do).toBe('update');
    expect(actionOn(VIRTUAL_SERVICES, made('999.0.0'))).toMatchObject({
      do: 'leave',
      why: 'Tulle 999.0.0 made it',
    });
  });

  test('leaves a definition of others that serves the version that is read', () => {
    expect(
      actionOn(VIRTUAL_SERVICES, [foreign(VIRTUAL_SERVICES, ['v1', 'v1beta1'])]),
    ).toMatchObject({
      do: 'leave',
    });
  });

  test('refuses one that does not, with what to do', () => {
    const action = actionOn(VIRTUAL_SERVICES, [foreign(VIRTUAL_SERVICES, ['v1alpha3'])]);
    expect(action).toMatchObject({ do: 'refuse', name: VIRTUAL_SERVICES });
    expect(action).toHaveProperty(
      'why',
      expect.stringContaining('serves v1alpha3, and v1 is read'),
    );
    expect(action).toHaveProperty('remedy', expect.stringContaining('Istio 1.22'));
  });

  test('adds nothing to a bundle of the Gateway API, and says what is missed', () => {
    const action = actionOn(TCP_ROUTES, [foreign(GATEWAYS, ['v1'], STANDARD)]);
    expect(action).toMatchObject({ do: 'leave', lost: 'TCPRoute' });
    expect(action).toHaveProperty('why', expect.stringContaining('v1.5.1 (standard)'));
  });

  test('refuses a bundle without what the control plane cannot do without', () => {
    expect(actionOn(GATEWAYS, [foreign(TCP_ROUTES, ['v1'], STANDARD)])?.do).toBe('refuse');
    expect(actionOn(GATEWAYS, [foreign(GATEWAYS, ['v1alpha2'], STANDARD)])).toMatchObject({
      do: 'refuse',
      remedy: expect.stringContaining('v1.5 or newer'),
    });
  });

  test('Istio’s definitions carry labels like ours, and are not taken for ours', () => {
    expect(actionOn(VIRTUAL_SERVICES, [foreign(VIRTUAL_SERVICES, ['v1'])])?.do).toBe('leave');
  });
});
