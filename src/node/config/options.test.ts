import { expect, test } from 'bun:test';
import { parseNodeOptions } from './options.ts';

test.each([
  [undefined, undefined],
  ['1', 0],
  ['5', 4000],
  ['10', 9000],
  ['11', 6000],
  ['30', 25_000],
])('a termination grace of %s s leaves %s ms to drain', (grace, want) => {
  const options = parseNodeOptions([], { TERMINATION_GRACE_PERIOD_SECONDS: grace });
  expect(options?.drainDeadlineMs).toBe(want);
});

test.each(['0', '-1', 'soon'])('a termination grace of %s is refused', (grace) => {
  const argv = [`--termination-grace-period-seconds=${grace}`];
  expect(() => parseNodeOptions(argv, {})).toThrow(
    expect.objectContaining({ code: 'NODE_OPTIONS' }),
  );
});

test.each([
  [[], {}, undefined],
  [[], { CRL_PATH: '/crl/ca-crl.pem' }, '/crl/ca-crl.pem'],
  [[], { CRL_PATH: '' }, undefined],
  [['--crl-file', 'a.pem'], { CRL_PATH: 'b.pem' }, 'a.pem'],
])('revocation lists with %j and %j are read from %s', (argv, env, want) => {
  expect(parseNodeOptions(argv, env)?.crlFile).toBe(want);
});

test('the DNS proxy is told in the words of ztunnel’s environment', () => {
  expect(parseNodeOptions([], {})?.dns).toEqual({
    domain: 'cluster.local',
    ipv6: true,
    preferredNamespace: undefined,
  });
  const env = {
    CLUSTER_DOMAIN: 'example.internal',
    IPV6_ENABLED: 'false',
    PREFERED_SERVICE_NAMESPACE: 'shared',
  };
  expect(parseNodeOptions([], env)?.dns).toEqual({
    domain: 'example.internal',
    ipv6: false,
    preferredNamespace: 'shared',
  });
});

test('control plane, credentials and node metadata are named in the words of ztunnel’s environment', () => {
  const env = {
    XDS_ADDRESS: 'https://discovery.example:15012',
    CA_ADDRESS: 'https://ca.example:15013',
    XDS_ROOT_CA: '/discovery.pem',
    CA_ROOT_CA: '/ca.pem',
    AUTH_TOKEN: '/token',
    ISTIO_META_CLUSTER_ID: 'east',
    CLUSTER_ID: 'west',
    ISTIO_META_ANYTHING: 'else',
    'XDS_HEADER_X-Tenant': 'a',
    CA_HEADER_TENANT: 'b',
    INPOD_UDS: '/run/pods.sock',
  };
  expect(parseNodeOptions([], env)).toMatchObject({
    xdsAddress: 'discovery.example:15012',
    caAddress: 'ca.example:15013',
    rootFile: '/discovery.pem',
    caRootFile: '/ca.pem',
    tokenFile: '/token',
    clusterId: 'east',
    nodeMetadata: { CLUSTER_ID: 'east', ANYTHING: 'else' },
    xdsHeaders: { 'x-tenant': 'a' },
    caHeaders: { tenant: 'b' },
    inpodSocket: '/run/pods.sock',
  });
  const argv = ['--root-file=/flag.pem', '--cluster-id=flag', '--token-file=/flag'];
  expect(parseNodeOptions(argv, env)).toMatchObject({
    rootFile: '/flag.pem',
    caRootFile: '/flag.pem',
    clusterId: 'flag',
    tokenFile: '/flag',
  });
  expect(parseNodeOptions(['--xds-address=own:1'], {})).toMatchObject({
    xdsAddress: 'own:1',
    caAddress: 'own:1',
    caRootFile: '/var/run/secrets/istio/root-cert.pem',
    inpodSocket: undefined,
    ztunnelSocket: undefined,
  });
});

test.each([
  [[], {}, 'info'],
  [[], { RUST_LOG: 'hickory_server::server=off,warn' }, 'hickory_server::server=off,warn'],
  [['--log-level', 'info,access=debug'], { RUST_LOG: 'warn' }, 'info,access=debug'],
])('log levels with %j and %j are %s', (argv, env, want) => {
  expect(String(parseNodeOptions(argv, env)?.logLevels)).toBe(want);
});

test.each([
  [[], {}, {}],
  [[], { POD_STREAMS_MAX: '500', PEER_STREAMS_MAX: '' }, { streamsMax: 500 }],
  [
    ['--pod-streams-max', '9', '--pod-buffered-bytes-max=1048576'],
    { POD_STREAMS_MAX: '500' },
    { streamsMax: 9, bufferedBytesMax: 1_048_576 },
  ],
])('limits of a pod with %j and %j are %j', (argv, env, want) => {
  expect(parseNodeOptions(argv, env)?.podLimits).toEqual(want);
});

test.each(['0', '-1', '1.5', 'many'])('a limit of %s, and a level of it, are refused', (text) => {
  const code = { code: 'NODE_OPTIONS' };
  expect(() => parseNodeOptions([`--pod-streams-max=${text}`], {})).toThrow(
    expect.objectContaining(code),
  );
  expect(() => parseNodeOptions([`--log-level=${text}`], {})).toThrow(
    expect.objectContaining(code),
  );
});

test.each([
  ['XDS_HEADER_', 'a'],
  ['XDS_HEADER_a b', 'a'],
  ['CA_HEADER_a', 'a\r\nauthorization: b'],
])('%s=%j is no field of a call', (name, value) => {
  expect(() => parseNodeOptions([], { [name]: value })).toThrow(
    expect.objectContaining({ code: 'NODE_OPTIONS' }),
  );
});
