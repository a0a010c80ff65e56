import { describe, expect, test } from 'bun:test';
import { DATAPLANE_MODE, type EligibilityPod, planCapture } from './plan.ts';

const pod = (extra: Partial<EligibilityPod> = {}): EligibilityPod => ({
  namespace: 'shop',
  labels: {},
  annotations: {},
  hostNetwork: false,
  ...extra,
});
const ambient = { [DATAPLANE_MODE]: 'ambient' };
const none = { [DATAPLANE_MODE]: 'none' };

describe('planCapture', () => {
  const rows: {
    title: string;
    pod: EligibilityPod;
    namespace: Record<string, string>;
    captured: boolean;
  }[] = [
    { title: 'nothing labelled', pod: pod(), namespace: {}, captured: false },
    { title: 'namespace labelled', pod: pod(), namespace: ambient, captured: true },
    { title: 'pod labelled', pod: pod({ labels: ambient }), namespace: {}, captured: true },
    { title: 'pod opts out', pod: pod({ labels: none }), namespace: ambient, captured: false },
    {
      title: 'pod opts in where the namespace opts out',
      pod: pod({ labels: ambient }),
      namespace: none,
      captured: true,
    },
    { title: 'host network', pod: pod({ hostNetwork: true }), namespace: ambient, captured: false },
    {
      title: 'sidecar',
      pod: pod({ annotations: { 'sidecar.istio.io/status': '{}' } }),
      namespace: ambient,
      captured: false,
    },
    {
      title: 'system namespace',
      pod: pod({ namespace: 'istio-system', labels: ambient }),
      namespace: ambient,
      captured: false,
    },
  ];
  for (const row of rows) {
    test(row.title, () => {
      const verdict = planCapture(row.pod, row.namespace, { dns: true });
      expect(verdict.captured).toBe(row.captured);
      expect(verdict.reason).not.toBe('');
    });
  }

  test('the bypass annotation is read', () => {
    const annotations = { 'ambient.istio.io/bypass-inbound-capture': 'true' };
    expect(planCapture(pod({ annotations }), ambient, { dns: true }).options.bypassInbound).toBe(
      true,
    );
  });

  test('the DNS annotation goes before the default of the node, unless it is no boolean', () => {
    const dnsOf = (value: string | undefined, dns: boolean) => {
      const annotations: Record<string, string> =
        value === undefined ? {} : { 'ambient.istio.io/dns-capture': value };
      return planCapture(pod({ annotations }), ambient, { dns }).options.dns;
    };
    expect([dnsOf(undefined, true), dnsOf(undefined, false)]).toEqual([true, false]);
    expect([dnsOf('false', true), dnsOf('true', false)]).toEqual([false, true]);
    expect([dnsOf('yes', true), dnsOf('yes', false)]).toEqual([true, false]);
  });

  test('namespaces that are excluded are those that are named', () => {
    const captured = (namespace: string) =>
      planCapture(pod({ namespace }), ambient, { dns: true, excludedNamespaces: ['mesh'] })
        .captured;
    expect([captured('mesh'), captured('kube-system')]).toEqual([false, true]);
  });

  test('devices of guests are read one by one; what cannot be a device is left out', () => {
    const annotations = {
      'istio.io/reroute-virtual-interfaces': 'k6t-eth0, vnet1,,a/b,sixteencharacter',
    };
    const { options } = planCapture(pod({ annotations }), ambient, { dns: true });
    expect(options.guestDevices).toEqual(['k6t-eth0', 'vnet1']);
  });
});
