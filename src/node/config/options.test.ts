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
