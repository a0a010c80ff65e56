import { describe, expect, test } from 'bun:test';
import type { ConfigMap, Secret } from '#kube/client/kinds.ts';
import { keepPem } from './gateway-api-sources.ts';

const metadata = { name: 'a', namespace: 'shop', uid: 'u', resourceVersion: '7' };

describe('keepPem', () => {
  test('keeps certificates, keys and lists of a Secret, and what identifies it', () => {
    const secret: Secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': 'Yw==', 'tls.key': 'aw==', password: 'cA==' },
      stringData: { token: 't' },
    };
    expect(keepPem(secret)).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': 'Yw==', 'tls.key': 'aw==' },
    });
  });

  test('keeps nothing of a ConfigMap but roots', () => {
    const map: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: { 'ca.crt': 'pem', 'app.yaml': 'x'.repeat(1000) },
      binaryData: { blob: 'AA==' },
    };
    expect(keepPem(map)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: { 'ca.crt': 'pem' },
    });
  });
});
