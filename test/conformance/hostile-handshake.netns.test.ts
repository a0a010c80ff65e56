/** Peers that do not get as far as a tunnel on a pod's 15008: bad certificates, wrong protocols, garbage, other requests. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HBONE_PORT } from '#hbone/limits.ts';
import type { TlsIdentity } from '#net/connection.ts';
import type { TlsConnectOptions } from '#net/network.ts';
import { PROXY_MARK } from '#node/marks.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import { frame, headers, settings } from '#test/support/h2-script.ts';
import {
  ECHO_PORT,
  HostileRig,
  MALLORY,
  type Neighbour,
  type PeerEnd,
  until,
} from '#test/support/hostile-rig.ts';
import { missingFor, run } from '#test/support/lab.ts';
import { SERVER_IP } from '#test/support/pod-pair.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';

interface Row {
  title: string;
  dial: () => Promise<Partial<TlsConnectOptions>>;
  log: string;
  /** Why it was we who ended it. */
  reason: string;
}

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter', 'openssl'], root: true });

describe.skipIf(skip !== undefined)('on 15008', () => {
  let rig: HostileRig;
  let neighbour: Neighbour;
  let stranger: TestCa;
  let seen = 0;
  beforeAll(async () => {
    rig = await HostileRig.open();
    neighbour = await rig.neighbour();
    stranger = await createTestCa('stranger');
  });
  afterAll(() => rig[Symbol.dispose]());
  afterEach(async () => {
    await neighbour.echo('after');
    await until(() => rig.peers === 1);
    seen = rig.lines().length;
  });

  /** The lines of this test. */
  const lines = () => rig.lines().slice(seen);
  const trusting = (identity: TlsIdentity) => ({ ...identity, trustBundle: rig.ca.rootPem });

  const rows: Row[] = [
    {
      title: 'no certificate',
      dial: async () => ({ identity: undefined, trustBundle: rig.ca.rootPem }),
      log: 'PEER_DID_NOT_RETURN_A_CERTIFICATE',
      reason: 'no peer certificate',
    },
    {
      title: 'an expired certificate',
      dial: async () => ({ identity: await rig.ca.issue(MALLORY, { validForMs: -60_000 }) }),
      log: 'CERT_HAS_EXPIRED',
      reason: 'certificate expired',
    },
    {
      title: 'a certificate of a foreign CA',
      dial: async () => ({ identity: trusting(await stranger.issue(MALLORY)) }),
      log: 'TLS with ',
      reason: 'certificate untrusted',
    },
    {
      title: 'a certificate for servers only',
      dial: async () => ({ identity: await rig.ca.issue(MALLORY, { only: 'server' }) }),
      log: 'INVALID_PURPOSE',
      reason: 'certificate untrusted',
    },
    {
      title: 'a certificate that somebody without that right signed',
      dial: async () => ({
        identity: await (await rig.ca.subordinate('x', { impostor: true })).issue(MALLORY),
      }),
      log: 'INVALID_PURPOSE',
      reason: 'certificate untrusted',
    },
    {
      title: 'an identity of a foreign trust domain',
      dial: async () => ({ identity: await rig.ca.issue('spiffe://evil.example/ns/shop/sa/web') }),
      log: 'spiffe://evil.example/ns/shop/sa/web is not of trust domain cluster.local',
      reason: 'peer identity',
    },
    {
      title: 'a DNS name that spells an identity',
      dial: async () => ({ identity: await rig.ca.issue('', { dns: `URI:${MALLORY}` }) }),
      log: 'peer proved no mesh identity',
      reason: 'peer identity',
    },
    {
      title: 'ALPN http/1.1',
      dial: async () => ({ alpn: ['http/1.1'] }),
      log: 'NO_APPLICATION_PROTOCOL',
      reason: 'TLS refused',
    },
    {
      title: 'no ALPN',
      dial: async () => ({ alpn: [] }),
      log: 'peer agreed to ALPN none',
      reason: 'TLS refused',
    },
  ];
  for (const { title, dial, log, reason } of rows) {
    test(`a peer with ${title} is refused, with one line that says that it was us`, async () => {
      // TLS 1.3 lets a client believe that it is connected before the server has judged it.
      const peer = await rig.tls(await dial()).catch(() => undefined);
      if (peer !== undefined) await until(() => peer.closed !== undefined);
      await until(() => lines().length > 0);
      await neighbour.echo(title);
      expect(lines()).toHaveLength(1);
      expect(lines()[0]).toContain('connection failed\tsrc.addr=198.18.250.2:');
      expect(lines()[0]).toContain(log);
      expect(lines()[0]).toContain(`closed_by="self" reason="${reason}"`);
    });
  }

  test('who refuses our certificate is who ended it, also by an alert in clear, as OpenSSL sends it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-distrust-'));
    const roots = join(folder, 'roots.pem');
    writeFileSync(roots, stranger.rootPem);
    const client = ['openssl', 's_client', '-alpn', 'h2', '-CAfile', roots, '-verify_return_error'];
    const inPod = ['nsenter', `--net=${rig.pair.serverPath}`];
    const done = await run([...inPod, ...client, '-connect', `${SERVER_IP}:${HBONE_PORT}`]);
    rmSync(folder, { recursive: true });
    expect(done.status).not.toBe(0);
    await until(() => lines().length > 0);
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toContain('closed_by="downstream" reason="TLS failure"');
  });

  test('a client that offers TLS 1.2 only is refused, with one line', async () => {
    const client = ['openssl', 's_client', '-tls1_2', '-alpn', 'h2', '-brief'];
    const setpriv = ['nsenter', `--net=${rig.pair.serverPath}`];
    const done = await run([...setpriv, ...client, '-connect', `${SERVER_IP}:${HBONE_PORT}`]);
    expect(done.status).not.toBe(0);
    await until(() => lines().length > 0);
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toContain('UNSUPPORTED_PROTOCOL');
    expect(lines()[0]).toContain('closed_by="self" reason="TLS refused"');
  });

  test('no client gets a session to come back with: it would not be verified again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-session-'));
    const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
    writeFileSync(files.cert, rig.mallory.certificateChain);
    writeFileSync(files.key, rig.mallory.privateKey);
    const client = ['openssl', 's_client', '-alpn', 'h2', '-ign_eof', '-cert', files.cert];
    const target = ['-key', files.key, '-connect', `${SERVER_IP}:${HBONE_PORT}`];
    const inPod = ['nsenter', `--net=${rig.pair.serverPath}`];
    // What it sends makes the server answer and close: tickets would have come before.
    const { stdout } = await run([...inPod, ...client, ...target], { input: 'x'.repeat(24) });
    rmSync(folder, { recursive: true });
    const heard = ['New, TLSv1.3', 'New Session Ticket arrived'].map((each) =>
      stdout.includes(each),
    );
    expect(heard).toEqual([true, false]);
  });

  const garbage: { title: string; bytes: string; log: string }[] = [
    { title: 'HTTP', bytes: 'GET / HTTP/1.1\r\n\r\n', log: 'HTTP_REQUEST' },
    { title: 'an HTTP/2 preface without TLS', bytes: CLIENT_PREFACE.toString(), log: 'TLS with ' },
    { title: 'zeros', bytes: '\0'.repeat(4096), log: 'TLS with ' },
    {
      title: 'a TLS record of alerts',
      bytes: '\x15\x03\x01\x00\x02\x02\x28'.repeat(10),
      log: 'TLS with ',
    },
    {
      title: 'half a ClientHello and FIN',
      bytes: '\x16\x03\x01\x02\x00\x01\x00',
      log: 'TLS with ',
    },
  ];
  for (const { title, bytes, log } of garbage) {
    test(`${title} instead of TLS is refused, with one line`, async () => {
      const peer = await rig.tcp(HBONE_PORT, { mark: PROXY_MARK });
      peer.send(bytes);
      if (title.endsWith('FIN')) peer.connection.end();
      await until(() => peer.closed !== undefined);
      await until(() => lines().length > 0);
      await neighbour.echo(title);
      expect(lines()).toHaveLength(1);
      expect(lines()[0]).toContain(`src.addr=${peer.name} `);
      expect(lines()[0]).toContain(log);
    });
  }

  const requests: { title: string; block: string; log: string }[] = [
    {
      title: 'GET',
      block: headers(1, true, ':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'),
      log: 'no tunnel: GET instead of CONNECT',
    },
    {
      title: 'CONNECT with a path',
      block: headers(1, true, ':method', 'CONNECT', ':authority', 'a:1', ':path', '/'),
      log: 'no tunnel: CONNECT must have :method and :authority only',
    },
    {
      title: 'a field with a line break',
      block: headers(1, true, ':method', 'CONNECT', ':authority', 'a:1', 'x', 'a\r\nb'),
      log: 'no tunnel: a field has a forbidden byte',
    },
    {
      title: 'an authority without port',
      block: headers(1, false, ':method', 'CONNECT', ':authority', SERVER_IP),
      log: `authority \\"${SERVER_IP}\\" has no host and port`,
    },
    {
      title: 'an authority of somebody else',
      block: headers(1, false, ':method', 'CONNECT', ':authority', '198.18.250.9:80'),
      log: 'is not the address 198.18.250.3 it arrived on',
    },
    {
      title: 'an authority of 15 KB',
      block: headers(1, false, ':method', 'CONNECT', ':authority', `${'a'.repeat(15_000)}:80`),
      log: 'aaa\\" has no host and port',
    },
  ];
  for (const { title, block, log } of requests) {
    test(`${title} is answered and said once; the connection goes on`, async () => {
      using peer = await rig.tls();
      peer.send(CLIENT_PREFACE.toString('latin1') + settings() + block);
      await until(() => answered(peer, 1) && lines().length > 0);
      const tunnel = headers(
        3,
        false,
        ':method',
        'CONNECT',
        ':authority',
        `${SERVER_IP}:${ECHO_PORT}`,
      );
      peer.send(tunnel + frame(code.DATA, 1, 3, Buffer.from('hello')));
      await until(() => peer.frames.some(({ type, id }) => type === code.DATA && id === 3));
      const about = lines().filter(
        (line) => !line.includes(`dst.hbone_addr=${SERVER_IP}:${ECHO_PORT}`),
      );
      expect(about).toHaveLength(1);
      expect(about[0]).toContain(log);
      expect(about[0].length).toBeLessThan(1500);
    });
  }

  function answered(peer: PeerEnd, stream: number): boolean {
    const kinds = [code.HEADERS, code.RST_STREAM];
    return peer.frames.some(({ type, id }) => id === stream && kinds.includes(type));
  }
});
