import { describe, expect, test } from 'bun:test';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Loose } from '#test/support/gateway-mesh.ts';
import { meshOf, object, route, service, WEB } from '#test/support/gateway-mesh.ts';
import type { MeshGraph } from './mesh-graph.ts';

describe('BackendTLSPolicy', () => {
  const PEM = '-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----';
  const policy = (name: string, target: Loose, validation: Loose, metadata: Loose = {}) =>
    object(
      'BackendTLSPolicy',
      name,
      {
        targetRefs: [{ group: '', kind: 'Service', name: 'a', ...target }],
        validation: { hostname: 'a.example.com', ...validation },
      },
      metadata,
    );
  const SYSTEM = { wellKnownCACertificates: 'System' };
  const tlsAt = (mesh: MeshGraph) => {
    const { portPolicies = {} } = mesh.upstreams.get('shop/a.shop.svc.cluster.local') ?? {};
    return Object.fromEntries(Object.entries(portPolicies).map(([port, { tls }]) => [port, tls]));
  };
  const simple = {
    mode: 'simple',
    sni: 'a.example.com',
    subjectAltNames: [],
    insecureSkipVerify: false,
  } as const;
  const accepted = (mesh: MeshGraph, name: string) => {
    const status = mesh.gatewayApiStatuses.get(`backendTlsPolicies/shop/${name}`);
    if (status?.source !== 'backendTlsPolicies') return expect.unreachable();
    return status.ancestors.map(
      ({ ancestorRef, conditions }) =>
        `${ancestorRef.kind} ${ancestorRef.name} ${conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`).join(', ')}`,
    );
  };
  const GATE = [service('a'), WEB, route('r', { parentRefs: [{ name: 'web' }] })];

  /** [title, policies, TLS by port, what the first says] */
  const rows: [string, KubeObject[], Record<number, object>, string[]][] = [
    [
      "all ports, the system's roots",
      [policy('p', {}, SYSTEM)],
      { 80: simple, 81: simple },
      [
        'Service a Accepted True Accepted, ResolvedRefs True ResolvedRefs',
        'Gateway web Accepted True Accepted, ResolvedRefs True ResolvedRefs',
      ],
    ],
    [
      'one port comes before all',
      [
        policy('p', {}, SYSTEM),
        policy('q', { sectionName: 'admin' }, { ...SYSTEM, hostname: 'b' }),
      ],
      { 80: simple, 81: { ...simple, sni: 'b' } },
      [
        'Service a Accepted True Accepted, ResolvedRefs True ResolvedRefs',
        'Gateway web Accepted True Accepted, ResolvedRefs True ResolvedRefs',
      ],
    ],
    [
      'names to be found in the certificate',
      [
        policy(
          'p',
          { sectionName: 'http' },
          {
            ...SYSTEM,
            subjectAltNames: [
              { type: 'Hostname', hostname: 'x' },
              { type: 'URI', uri: 'spiffe://y/z' },
            ],
          },
        ),
      ],
      { 80: { ...simple, subjectAltNames: ['x', 'spiffe://y/z'] } },
      [
        'Service a Accepted True Accepted, ResolvedRefs True ResolvedRefs',
        'Gateway web Accepted True Accepted, ResolvedRefs True ResolvedRefs',
      ],
    ],
    [
      'roots that do not exist block',
      [
        policy(
          'p',
          { sectionName: 'http' },
          { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'none' }] },
        ),
      ],
      { 80: { ...simple, material: 'invalid://' } },
      [
        'Service a Accepted False NoValidCACertificate, ResolvedRefs False InvalidCACertificateRef',
        'Gateway web Accepted False NoValidCACertificate, ResolvedRefs False InvalidCACertificateRef',
      ],
    ],
    [
      'roots of an unknown kind block',
      [
        policy(
          'p',
          { sectionName: 'http' },
          { caCertificateRefs: [{ group: '', kind: 'Secret', name: 'none' }] },
        ),
      ],
      { 80: { ...simple, material: 'invalid://' } },
      [
        'Service a Accepted False NoValidCACertificate, ResolvedRefs False InvalidKind',
        'Gateway web Accepted False NoValidCACertificate, ResolvedRefs False InvalidKind',
      ],
    ],
    [
      'malformed roots block',
      [
        policy(
          'p',
          { sectionName: 'http' },
          { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'bad' }] },
        ),
        object('ConfigMap', 'bad', undefined, {}, { data: { 'ca.crt': PEM } }),
      ],
      { 80: { ...simple, material: 'invalid://' } },
      [
        'Service a Accepted False NoValidCACertificate, ResolvedRefs False InvalidCACertificateRef',
        'Gateway web Accepted False NoValidCACertificate, ResolvedRefs False InvalidCACertificateRef',
      ],
    ],
    [
      'an unknown service',
      [policy('p', { name: 'x' }, SYSTEM)],
      {},
      ['Service x Accepted False TargetNotFound, ResolvedRefs True ResolvedRefs'],
    ],
    [
      'an unknown port name',
      [policy('p', { sectionName: 'x' }, SYSTEM)],
      {},
      [
        'Service a Accepted False TargetNotFound, ResolvedRefs True ResolvedRefs',
        'Gateway web Accepted False TargetNotFound, ResolvedRefs True ResolvedRefs',
      ],
    ],
    [
      'of two for one target the older',
      [
        policy(
          'p',
          {},
          { ...SYSTEM, hostname: 'b' },
          { creationTimestamp: '2026-01-02T00:00:00Z' },
        ),
        policy('q', {}, SYSTEM),
      ],
      { 80: simple, 81: simple },
      [
        'Service a Accepted False Conflicted, ResolvedRefs True ResolvedRefs',
        'Gateway web Accepted False Conflicted, ResolvedRefs True ResolvedRefs',
      ],
    ],
  ];
  for (const [title, policies, tls, says] of rows)
    test(title, () => {
      const { mesh } = meshOf([...GATE, ...policies]);
      expect(tlsAt(mesh)).toEqual(tls as never);
      expect(accepted(mesh, 'p')).toEqual(says);
    });

  test('options are not known, and said so', () => {
    const { mesh } = meshOf([
      ...GATE,
      object('BackendTLSPolicy', 'p', {
        targetRefs: [{ group: '', kind: 'Service', name: 'a' }],
        validation: { hostname: 'h', ...SYSTEM },
        options: { 'example.com/x': 'y' },
      }),
    ]);
    expect(mesh.findings().map(({ resource, path }) => `${resource} ${path}`)).toEqual([
      'BackendTLSPolicy shop/p spec.options',
    ]);
  });
});
