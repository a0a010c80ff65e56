/** Revocation lists in force on a node proxy: revoked peers are refused and closed in both directions, others stay. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { frame, headers, settings } from '#test/support/h2-script.ts';
import {
  ECHO_PORT,
  HostileRig,
  MALLORY,
  type Neighbour,
  type PeerEnd,
  until,
} from '#test/support/hostile-rig.ts';
import { missingFor } from '#test/support/lab.ts';
import { PRODUCT, SERVER_IP } from '#test/support/pod-pair.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;

describe.skipIf(skip)('revocation', () => {
  const crlFile = join(tmpdir(), `tulle-revocation-${process.pid}.pem`);
  let rig: HostileRig;
  let neighbour: Neighbour;
  beforeAll(async () => {
    writeFileSync(crlFile, '');
    rig = await HostileRig.open({ crlFile });
    neighbour = await rig.neighbour();
  });
  afterAll(() => {
    rig[Symbol.dispose]();
    rmSync(crlFile, { force: true });
  });

  const failed = (peer?: PeerEnd) =>
    rig.lines(peer).filter((line) => line.includes('connection failed'));
  const metric = (reporter: string) =>
    rig.node.assembly.registry
      .expose()
      .split('\n')
      .filter((line) => line.startsWith('istio_tcp_connections_failed_total'))
      .filter((line) => line.includes(`reporter="${reporter}"`) && line.includes('CERT_REVOKED'));

  test('a peer that becomes revoked is closed with its tunnels, and refused from then on; others stay', async () => {
    const peer = await rig.tls();
    const tunnel = headers(
      1,
      false,
      ':method',
      'CONNECT',
      ':authority',
      `${SERVER_IP}:${ECHO_PORT}`,
    );
    peer.send(CLIENT_PREFACE.toString('latin1') + settings() + tunnel);
    peer.send(frame(code.DATA, 0, 1, Buffer.from('hello')));
    await until(() => peer.frames.some(({ type }) => type === code.DATA));

    writeFileSync(crlFile, await rig.ca.revoke([rig.mallory.certificateChain]));
    await until(() => peer.over);
    const goAway = peer.frames.find(({ type }) => type === code.GOAWAY)?.payload.readUInt32BE(4);
    expect(goAway).toBe(code.INADEQUATE_SECURITY);
    await neighbour.echo('mallory is out');
    await until(() => failed(peer).length > 0 && rig.peers === 1);
    expect(failed(peer)).toHaveLength(1);
    const [complete] = rig.lines(peer).filter((line) => line.includes('connection complete'));
    for (const line of [failed(peer)[0], complete]) {
      expect(line).toMatch(/error="the certificate of spiffe:\S+mallory is revoked \(serial \w+\)/);
      expect(line).toContain('closed_by="self" reason="certificate revoked"');
    }
    expect(metric('destination')).toHaveLength(1);

    const rejections = 'istio_crl_policy_rejections_total{reporter="destination"}';
    expect(rig.node.assembly.registry.expose()).toContain(`${rejections} 1\n`);

    const before = failed().length;
    const again = await rig.tls().catch(() => undefined);
    if (again !== undefined) await until(() => again.closed !== undefined);
    await until(() => failed().length > before);
    expect(failed().at(-1)).toContain(`the certificate of ${MALLORY} is revoked`);
    await neighbour.echo('still here');
  });

  test('a server that becomes revoked loses its tunnels from our side, and gets no new one', async () => {
    const [, product] = rig.mesh.pods;
    writeFileSync(crlFile, await rig.ca.revoke([product.identity.certificateChain]));
    await until(() => metric('source').length > 0);
    await expect(neighbour.echo('gone')).rejects.toThrow();
    const about = () => rig.lines().filter((line) => line.includes(`certificate of ${PRODUCT} is`));
    const closed = about().filter((line) => line.includes('direction="outbound"'));
    expect(closed).toHaveLength(1);

    const next = await rig.tcp(ECHO_PORT);
    await until(() => next.closed !== undefined && about().length > closed.length);
    expect(about().at(-1)).toContain(`src.addr=${next.name} `);
    expect(about().at(-1)).toContain('closed_by="self" reason="certificate revoked"');

    writeFileSync(crlFile, '');
    await until(() => rig.node.assembly.context.revocations?.status().revoked === 0);
    await rig.neighbour();
  });
});
