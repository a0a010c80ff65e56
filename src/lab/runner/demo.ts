/** The demo: the product-service canary of examples/product-service, in which order it starts, and what to try next. */
import { join } from 'node:path';
import type { Manifest } from '#kube/manifests.ts';
import type { Expected } from './readiness.ts';

export const DEMO_NAMESPACE = 'shop';
export const DEMO_DIRECTORY = join(
  import.meta.dir,
  '..',
  '..',
  '..',
  'examples',
  'product-service',
);

export const DEMO_EXPECTED: Expected = {
  deployments: [
    'shop/product-service-v1',
    'shop/product-service-v2',
    'legacy/visitor',
    'shop/waypoint',
  ],
  pods: [],
};

const CALLER = 'web';
export const CALLER_EXPECTED: Expected = {
  deployments: [`${DEMO_NAMESPACE}/${CALLER}`],
  pods: [],
};

/**
 * The caller is applied when all else is ready. The service refuses connections until its waypoint is there, and a
 * caller that starts before would count them as its errors.
 */
export function isCaller({ object: { kind, metadata } }: Manifest): boolean {
  const { name, namespace = DEMO_NAMESPACE } = metadata;
  return kind === 'Deployment' && namespace === DEMO_NAMESPACE && name === CALLER;
}

export const DEMO_DONE = [
  'Namespace shop is in the mesh: its pods talk mutual TLS through the proxy of their node.',
  'product-service runs with two pods of v1 and one canary of v2 behind the waypoint "waypoint".',
  'web calls http://product-service/ 20 times a second; visitor, in namespace legacy, is outside the mesh.',
  'examples/product-service/product-service.yaml routes 90 % to v1, 10 % to v2, and x-canary: true to v2.',
];

export function nextCommands(program: string, demo: boolean): { command: string; shows: string }[] {
  const status = {
    command: `${program} status`,
    shows: 'every part of the mesh and whether it is in sync',
  };
  if (!demo) return [{ command: 'kubectl get pods -A', shows: 'what runs' }, status];
  const visit = `${program} exec -n shop deploy/web -- curl -s`;
  const patch = `'[{"op":"replace","path":"/spec/http/1/route/0/weight","value":50},{"op":"replace","path":"/spec/http/1/route/1/weight","value":50}]'`;
  return [
    {
      command: `${visit} -H 'x-canary: true' http://product-service/`,
      shows: 'a canary request: always v2',
    },
    {
      command: `kubectl -n shop patch vs product-service --type json -p ${patch}`,
      shows: 'half of the traffic to v2, within a second',
    },
    {
      command: `${program} exec -n shop deploy/product-service-v2 -- curl -s 'http://localhost:8080/_sample/fail?status=500&for=60s'`,
      shows: 'break v2: three failures, then its endpoint is ejected',
    },
    { command: `${program} graph`, shows: 'who calls whom, with rates, errors and ejections' },
    status,
    { command: `${program} lab down`, shows: 'stop it all' },
  ];
}
