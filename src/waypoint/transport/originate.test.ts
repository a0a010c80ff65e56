import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { NO_MATERIAL } from '#model/route/no-material.ts';
import { originationOptions } from './originate.ts';

describe('TLS whose material cannot be used', () => {
  test.each([
    [NO_MATERIAL, 'no usable roots'],
    ['kubernetes://shop/missing', 'kubernetes://shop/missing is not there'],
  ])('of %s dials nobody', (material, reason) => {
    const tls = {
      mode: 'simple',
      subjectAltNames: [],
      insecureSkipVerify: false,
      material,
    } as const;
    const given = originationOptions(
      { tls, defaultSni: 'p.example', alpn: [] },
      { address: '198.18.0.1', port: 443, connectTimeoutMs: 1000 },
      { get: () => undefined },
    );
    expect(given).toBeInstanceOf(MeshError);
    expect(String(given)).toContain(reason);
  });
});
