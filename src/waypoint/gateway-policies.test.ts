/** A gateway that judges, over real sockets: requests, bytes, TLS that passes through, and what is open when policies change. */
import { afterAll, describe, expect, test } from 'bun:test';
import { connect as connectTcp } from 'node:net';
import type { HttpPolicies, HttpPolicy, PolicyRule } from '#model/authorization/http-policies.ts';
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import {
  bytesTo,
  destinationAt,
  exchange,
  freePort,
  gatewayOf,
  get,
  hosted,
  serverOf,
  startGateway,
} from '#test/support/gateway-rig.ts';

const origin = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('here') });
const hold = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: { data: (socket) => void socket.write('held') },
});
const gateway = startGateway([
  destinationAt('a', origin.port ?? 0),
  destinationAt('hold', hold.port),
]);
afterAll(() => {
  gateway.stop();
  hold.stop(true);
  return origin.stop(true);
});

function judging(action: HttpPolicy['action'], ...rules: PolicyRule[]): { policies: HttpPolicies } {
  const policy = { namespace: 'shop', name: 'edge-rules', action, dryRun: false, rules };
  return { policies: { trustDomains: ['cluster.local'], policies: [policy], tokens: [] } };
}

const asked = async (port: number, host: string, path: string, fields = '') =>
  Number((await exchange(port, get(host, path, fields))).split(' ')[1]);

describe('requests at a gateway', () => {
  const port = freePort();
  const configure = (part: Partial<GatewayConfig>, ...more: GatewayConfig[]) => {
    const server = serverOf({ name: 'a', virtualHosts: [hosted('a.test', 'a')] });
    gateway.configure([gatewayOf([{ port, servers: [server] }], part), ...more]);
  };

  test('are judged by host, path and port, before a route is looked for', async () => {
    const operation = { hosts: ['a.test'], notPaths: ['/admin*'], ports: [String(port)] };
    configure(judging('ALLOW', { to: [{ operation }] }));
    expect(await asked(port, 'a.test', '/')).toBe(200);
    expect(await asked(port, 'a.test', '/admin/x')).toBe(403);
    expect(await asked(port, 'b.test', '/')).toBe(403);
    const answer = await exchange(port, get('a.test', '/admin'));
    expect(answer).toContain('RBAC: access denied: ');
    expect(answer).toContain('shop/edge-rules');
  });

  test('are judged by the client that trusted proxies name, not by what others claim', async () => {
    const from = [{ source: { remoteIpBlocks: ['203.0.113.0/24'] } }];
    const forwarded = 'X-Forwarded-For: 203.0.113.9\r\n';
    configure({ ...judging('ALLOW', { from }), trustedProxies: 1 });
    expect(await asked(port, 'a.test', '/', forwarded)).toBe(200);
    expect(await asked(port, 'a.test', '/')).toBe(403);
    configure(judging('ALLOW', { from }));
    expect(await asked(port, 'a.test', '/', forwarded)).toBe(403);
  });

  test('of a shared port are judged by the policies of all that share it', async () => {
    const other = serverOf({ name: 'b', virtualHosts: [hosted('b.test', 'a')] });
    const second = { ...gatewayOf([{ port, servers: [other] }]), name: 'second' };
    configure(judging('DENY', { to: [{ operation: { paths: ['/no'] } }] }), second);
    expect(await asked(port, 'b.test', '/')).toBe(200);
    expect(await asked(port, 'b.test', '/no')).toBe(403);
  });
});

describe('bytes at a gateway', () => {
  const held = async (port: number) => {
    const closed = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const socket = connectTcp({ host: '127.0.0.1', port }, () => socket.write('a'));
    socket.on('data', () => answered.resolve());
    socket.on('close', () => closed.resolve());
    socket.on('error', () => undefined);
    await answered.promise;
    return { closed: closed.promise };
  };

  test('pass by port and address, and end when policies change', async () => {
    const port = freePort();
    const server = serverOf({ name: 't', protocol: 'tcp', l4Routes: [bytesTo('hold')] });
    const configure = (part: Partial<GatewayConfig>) =>
      gateway.configure([gatewayOf([{ port, servers: [server] }], part)]);
    const from = [{ source: { ipBlocks: ['127.0.0.0/8'] } }];
    const to = [{ operation: { ports: [String(port)] } }];
    configure(judging('ALLOW', { from, to }));
    const open = await Promise.all([held(port), held(port)]);
    configure(judging('DENY', { from, to }));
    await Promise.all(open.map(({ closed }) => closed));
    expect(await exchange(port, 'hello')).not.toContain('held');
  });
});
