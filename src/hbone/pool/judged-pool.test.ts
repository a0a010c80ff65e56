import { afterAll, describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#base/log.ts';
import { CRL_POLL_MS } from '#identity/limits.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { TlsConnection } from '#net/connection.ts';
import type { ConnectHandler, Network, TlsConnectOptions } from '#net/network.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { decodePem } from '#wire/x509/pem.ts';
import { openJudgedPool } from './judged-pool.ts';

const WEB = formatPrincipal({
  trustDomain: 'cluster.local',
  namespace: 'shop',
  serviceAccount: 'web',
});
const crlFile = join(tmpdir(), `tulle-judged-pool-${process.pid}.pem`);
const ca = await createTestCa();
const web = await ca.issue(WEB);
const peerChain = decodePem('CERTIFICATE', web.certificateChain + ca.rootPem);

afterAll(() => rmSync(crlFile, { force: true }));

function open(file: string | undefined) {
  const clock = new FakeClock();
  const dials: { options: TlsConnectOptions; handler: ConnectHandler<TlsConnection> }[] = [];
  const network: Pick<Network, 'connectTls'> = {
    connectTls: (options, handler) => void dials.push({ options, handler }),
  };
  const judged = openJudgedPool(
    { network: network as Network, clock, identities: { get: () => web }, log: silentLogger },
    { crlFile: file },
  );
  const destination = { address: '198.18.0.2', port: 15008 };
  judged.pool.open(
    {
      source: WEB,
      expected: [WEB],
      destination,
      sourceAddress: '198.18.0.1',
      namespace: undefined,
      client: { address: '198.18.0.1', port: 1 },
      head: { authority: '198.18.0.2:80', baggage: '', forwarded: '', traceparent: '' },
    },
    { onOpen: (tunnel) => tunnel.handler, onFail: () => undefined },
  );
  return { ...judged, clock, dial: dials[0] };
}

/** What the pool does with its end of a connection. */
function peerConnection() {
  const did = { ended: false };
  const connection: Partial<TlsConnection> = {
    peerChain,
    write: (bytes) => bytes.length,
    end() {
      did.ended = true;
    },
    reset: () => undefined,
  };
  return { did, connection: connection as TlsConnection };
}

describe('openJudgedPool', () => {
  test('refuses a peer that the list names, and breaks off with one that it names later', async () => {
    const { dial, clock, revocations } = open(crlFile);
    expect(dial.options.judgePeer?.(peerChain)).toBeUndefined();
    const { did, connection } = peerConnection();
    dial.handler.onOpen(connection);
    // The tunnel that waits starts in a microtask.
    await Promise.resolve();
    expect(did.ended).toBe(false);

    writeFileSync(crlFile, await ca.revoke([web.certificateChain]));
    clock.advance(CRL_POLL_MS);
    expect(dial.options.judgePeer?.(peerChain)?.code).toBe('TRUST_REVOKED');
    expect(did.ended).toBe(true);
    revocations?.stop();
  });

  test('judges nobody where no list is followed', () => {
    const { dial, revocations } = open(undefined);
    expect([dial.options.judgePeer, revocations]).toEqual([undefined, undefined]);
  });
});
