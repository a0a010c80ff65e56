import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rfc3339At } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { KubeObject, ResourceRef, WriteOptions } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { Credentials } from './credentials.ts';
import { CREDENTIALS_RETRY_MS, CRL_PERIOD_MS, ROOTS_PERIOD_MS } from './limits.ts';

const LIFE_MS = 3_600_000;

/** Answers token requests as an API server that makes shorter ones than it was asked for. */
class TokenClient extends FakeKubeClient {
  tokens = 0;
  refuses = false;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    super();
    this.#clock = clock;
  }

  override async create<T extends KubeObject>(ref: ResourceRef, object: T, options?: WriteOptions) {
    if (options?.subresource !== 'token') return super.create(ref, object);
    if (this.refuses) throw new Error('the API server is away');
    this.tokens += 1;
    const expirationTimestamp = rfc3339At(this.#clock.wallTime() + LIFE_MS);
    return { ...object, status: { token: `token-${this.tokens}`, expirationTimestamp } };
  }
}

describe('Credentials', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-credentials-'));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const rig = async () => {
    const clock = new FakeClock();
    const client = new TokenClient(clock);
    const roots = (pem: string) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio-ca-root-cert', namespace: 'shop' },
      data: { 'root-cert.pem': pem },
    });
    await client.create(RESOURCES.configMaps, roots('first'));
    const options = { namespace: 'shop', serviceAccount: 'billing', directory };
    const obtain = () => Credentials.obtain({ client, clock, log: silentLogger }, options);
    const settled = async () => {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    };
    return { clock, client, roots, obtain, settled };
  };

  test('are files that only root reads, and gone at the end', async () => {
    const { obtain, clock } = await rig();
    const credentials = await obtain();
    const { tokenFile, rootFile } = credentials;
    expect(readFileSync(tokenFile, 'utf8')).toBe('token-1');
    expect(readFileSync(rootFile, 'utf8')).toBe('first');
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    credentials.stop();
    expect([tokenFile, rootFile].some(existsSync)).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('the token is renewed at half the life that it really has; what is at hand stays while that fails', async () => {
    const { obtain, clock, client, settled } = await rig();
    const credentials = await obtain();
    const token = () => readFileSync(credentials.tokenFile, 'utf8');
    clock.advance(LIFE_MS / 2 - 1);
    await settled();
    expect(token()).toBe('token-1');
    client.refuses = true;
    clock.advance(1);
    await settled();
    expect(token()).toBe('token-1');
    client.refuses = false;
    clock.advance(CREDENTIALS_RETRY_MS);
    await settled();
    expect(token()).toBe('token-2');
    credentials.stop();
  });

  test('new roots are taken over', async () => {
    const { obtain, clock, client, roots, settled } = await rig();
    const credentials = await obtain();
    await client.update(RESOURCES.configMaps, roots('second'));
    clock.advance(ROOTS_PERIOD_MS);
    await settled();
    expect(readFileSync(credentials.rootFile, 'utf8')).toBe('second');
    credentials.stop();
  });

  test('revocation lists follow the ConfigMap, and stay in force when it goes', async () => {
    const { obtain, clock, client, roots, settled } = await rig();
    const credentials = await obtain();
    expect(existsSync(credentials.crlFile)).toBe(false);
    const { apiVersion, kind, metadata } = roots('');
    const map = { apiVersion, kind, metadata: { ...metadata, name: 'istio-ca-crl' } };
    await client.create(RESOURCES.configMaps, { ...map, data: { 'ca-crl.pem': 'nobody' } });
    clock.advance(CRL_PERIOD_MS);
    await settled();
    expect(readFileSync(credentials.crlFile, 'utf8')).toBe('nobody');
    await client.delete(RESOURCES.configMaps, { namespace: 'shop', name: 'istio-ca-crl' });
    clock.advance(CRL_PERIOD_MS);
    await settled();
    expect(readFileSync(credentials.crlFile, 'utf8')).toBe('nobody');
    credentials.stop();
    expect(existsSync(credentials.crlFile)).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('without roots nothing can be trusted', async () => {
    const { obtain, client } = await rig();
    await client.delete(RESOURCES.configMaps, { namespace: 'shop', name: 'istio-ca-root-cert' });
    await expect(obtain()).rejects.toMatchObject({ code: 'JOIN_NO_ROOT' });
  });
});
