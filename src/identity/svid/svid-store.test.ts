import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { seededRandom, systemRandom } from '#base/random.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { type CertificateAuthority, createRoot, loadAuthority } from '../ca/authority.ts';
import type { SvidRequest, SvidSigner } from './ca-client.ts';
import { createSvidStore } from './svid-store.ts';

const principal = (serviceAccount: string): Principal =>
  formatPrincipal({ trustDomain: 'cluster.local', namespace: 'shop', serviceAccount });
const WEB = principal('web');
const HOUR = 3_600_000;

class FakeSigner implements SvidSigner {
  readonly asked: SvidRequest[] = [];
  readonly #waiting: (() => void)[] = [];
  failing: MeshError | undefined;
  /** Answers only when `release` is called. */
  held = false;
  open = 0;
  openMost = 0;

  constructor(readonly ca: CertificateAuthority) {}

  async sign(request: SvidRequest) {
    this.asked.push(request);
    this.openMost = Math.max(this.openMost, ++this.open);
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.open--;
    if (this.failing !== undefined) throw this.failing;
    return this.ca.sign(request);
  }

  releaseOne() {
    this.#waiting.shift()?.();
  }

  release() {
    this.held = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  close() {
    this.open = 0;
  }
}

const DOWN = new MeshError('GRPC_UNAVAILABLE', 'control plane is away', {
  side: 'upstream',
  hint: 'x',
});

async function setup() {
  const clock = new FakeClock();
  const deps = { clock, random: systemRandom };
  const signer = new FakeSigner(await loadAuthority(deps, await createRoot(deps, 'test')));
  const lines: string[] = [];
  const log = createLogger('svid', { clock, level: 'debug', write: (line) => lines.push(line) });
  const store = createSvidStore({ clock, random: seededRandom(1), log, signer });
  const rotations: string[] = [];
  store.onRotate((who, identity) => rotations.push(`${who} ${identity.privateKey}`));
  return { clock, signer, store, lines, rotations };
}

/** Lets promises run until `done`, for as long as the test may take; the key and the signature are made on other threads. */
async function until(done: () => boolean) {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

describe('SvidStore', () => {
  test('whenReady fetches once for all who wait; get has it then', async () => {
    const { store, signer } = await setup();
    expect(store.get(WEB)).toBeUndefined();
    const [one, two] = await Promise.all([store.whenReady(WEB), store.whenReady(WEB)]);
    expect(one).toBe(two);
    expect(store.get(WEB)).toBe(one);
    expect(signer.asked.length).toBe(1);
    expect(store.status()).toMatchObject([
      { principal: WEB, state: 'ready', lastError: undefined },
    ]);
    expect(one.certificateChain).toContain('BEGIN CERTIFICATE');
    expect(one.trustBundle).toBe(signer.ca.root);
  });

  test('rotates at half life with a new key', async () => {
    const { store, clock, rotations, signer } = await setup();
    const first = await store.whenReady(WEB);
    clock.advance(11 * HOUR + 59 * 60_000 - 61_000);
    expect(signer.asked.length).toBe(1);
    clock.advance(122_000);
    await until(() => rotations.length === 2);
    expect(store.get(WEB)).not.toBe(first);
    expect(store.get(WEB)?.privateKey).not.toBe(first.privateKey);
  });

  test('keeps the valid certificate while the CA is away, drops it when it expires, recovers', async () => {
    const { store, clock, signer } = await setup();
    const first = await store.whenReady(WEB);
    signer.failing = DOWN;
    clock.advance(13 * HOUR);
    await until(() => store.status()[0].lastError !== undefined);
    expect(store.get(WEB)).toBe(first);
    expect(store.status()[0]).toMatchObject({ state: 'ready', lastError: 'control plane is away' });
    clock.advance(11 * HOUR);
    expect(store.get(WEB)).toBeUndefined();
    expect(store.status()[0].state).toBe('unavailable');
    await until(() => signer.open === 0);
    signer.failing = undefined;
    const next = store.whenReady(WEB).catch(() => store.whenReady(WEB));
    await until(() => clock.pending > 0 || store.get(WEB) !== undefined);
    clock.advance(150_000);
    expect(await next).not.toBe(first);
  });

  test('backs off from a CA that fails, and a waiting connection shortens that to a second', async () => {
    const { store, clock, signer } = await setup();
    signer.failing = DOWN;
    store.request(WEB);
    for (let attempt = 1; attempt <= 8; attempt++) {
      await until(() => signer.asked.length === attempt && clock.pending === 1);
      if (attempt < 8) clock.advance(150_000);
    }
    signer.failing = undefined;
    clock.advance(1);
    expect(signer.asked.length).toBe(8);
    const ready = store.whenReady(WEB);
    clock.advance(1_000);
    expect((await ready).certificateChain).toContain('BEGIN CERTIFICATE');
    expect(signer.asked.length).toBe(9);
  });

  test('retry tries at once what failed, and leaves a valid certificate alone', async () => {
    const { store, signer, clock, lines } = await setup();
    signer.failing = DOWN;
    store.request(WEB);
    await until(() => lines.length === 1);
    signer.failing = undefined;
    store.retry();
    clock.advance(0);
    await until(() => store.get(WEB) !== undefined);
    expect(signer.asked).toHaveLength(2);
    store.retry();
    clock.advance(0);
    expect(signer.asked).toHaveLength(2);
  });

  test('whenReady rejects with the reason of the attempt', async () => {
    const { store, signer } = await setup();
    signer.failing = DOWN;
    expect(await store.whenReady(WEB).catch((error: MeshError) => error.code)).toBe(
      'GRPC_UNAVAILABLE',
    );
  });

  test('fetches at most eight at once, connections that wait first', async () => {
    const { store, signer, rotations } = await setup();
    signer.held = true;
    for (let index = 0; index < 12; index++) store.request(principal(`w${index}`));
    await until(() => signer.asked.length === 8);
    const urgent = store.whenReady(principal('w11'));
    // Two that begin together may be asked for in any order: making a key takes a while.
    signer.releaseOne();
    await until(() => signer.asked.length === 9);
    expect(signer.asked[8].principal).toBe(principal('w11'));
    signer.release();
    await urgent;
    await until(() => rotations.length === 12);
    expect(signer.openMost).toBe(8);
  });

  test('forget drops the key, tells who waits and leaves no timer', async () => {
    const { store, signer, clock } = await setup();
    await store.whenReady(WEB);
    expect(clock.pending).toBe(1);
    store.forget(WEB);
    expect(clock.pending).toBe(0);
    expect(store.get(WEB)).toBeUndefined();
    expect(store.status()).toEqual([]);
    signer.held = true;
    const waiting = store.whenReady(WEB).catch((error: MeshError) => error.code);
    await until(() => signer.asked.length === 2);
    store.forget(WEB);
    expect(await waiting).toBe('SVID_FORGOTTEN');
    signer.release();
    await until(() => signer.open === 0);
    expect(store.get(WEB)).toBeUndefined();
  });

  /** A CA whose clock is apart from ours. */
  async function skewed(byMs: number) {
    const parts = await setup();
    const theirs = new FakeClock(parts.clock.wallTime() + byMs);
    const deps = { clock: theirs, random: systemRandom };
    const ca = await loadAuthority(deps, await createRoot(deps, 'test'));
    return { ...parts, ca };
  }

  test('takes a certificate of a CA that is an hour ahead when it has none, and names the clocks', async () => {
    const { ca, signer, store, lines } = await skewed(HOUR);
    signer.sign = (request) => ca.sign(request);
    expect((await store.whenReady(WEB)).certificateChain).toContain('BEGIN CERTIFICATE');
    const message =
      "clock skew: the certificate just signed is valid only from 2026-01-01T00:58:00.000Z, in 58 min: the control plane's clock is ahead, or this machine's behind";
    expect(store.status()).toMatchObject([{ state: 'ready', lastError: message }]);
    expect(lines.join('')).toContain('clock skew');
    store.stop();
  });

  test('keeps the valid certificate when the CA goes an hour ahead', async () => {
    const { ca, clock, signer, store } = await skewed(14 * HOUR);
    const first = await store.whenReady(WEB);
    signer.sign = (request) => ca.sign(request);
    clock.advance(12 * HOUR);
    await until(() => store.status()[0].lastError !== undefined);
    expect(store.get(WEB)).toBe(first);
    expect(store.status()[0].lastError).toContain('clock skew');
    store.stop();
  });

  test('works with a CA that is an hour behind', async () => {
    const { ca, signer, store } = await skewed(-HOUR);
    signer.sign = (request) => ca.sign(request);
    await store.whenReady(WEB);
    expect(store.status()).toMatchObject([{ state: 'ready', lastError: undefined }]);
    store.stop();
  });

  test('refuses what a CA that is days behind signs, and names the clocks', async () => {
    const { ca, signer, store } = await skewed(-30 * HOUR);
    signer.sign = (request) => ca.sign(request);
    const error = await store.whenReady(WEB).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'SVID_CLOCK_SKEW',
      message:
        "clock skew: the certificate just signed ended at 2025-12-31T18:00:00.000Z, 360 min ago: the control plane's clock is behind, or this machine's ahead",
    });
    expect(store.get(WEB)).toBeUndefined();
    store.stop();
  });

  test('no line of the log holds key material', async () => {
    const { store, lines, rotations } = await setup();
    await store.whenReady(WEB);
    expect(lines.length).toBeGreaterThan(0);
    const [, ...key] = rotations[0].split('\n');
    for (const line of lines) {
      expect(line).not.toContain('PRIVATE');
      expect(line).not.toContain(key[0]);
    }
  });
});
