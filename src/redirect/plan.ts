/** Which pods are captured, and why: Istio's default enablement rules as an ordered table (first match decides). */

import type { RuleOptions } from './rules.ts';

export interface EligibilityPod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly hostNetwork: boolean;
}

export interface CaptureVerdict {
  readonly captured: boolean;
  readonly reason: string;
  /** How, if it is. */
  readonly options: RuleOptions;
}

export interface CaptureDefaults {
  /** For pods that do not say. */
  readonly dns: boolean;
  /** Namespaces of which nothing is captured; undefined: EXCLUDED_NAMESPACES. */
  readonly excludedNamespaces?: readonly string[];
}

export const DATAPLANE_MODE = 'istio.io/dataplane-mode';
export const REDIRECTION_ANNOTATION = 'ambient.istio.io/redirection';
const BYPASS_INBOUND = 'ambient.istio.io/bypass-inbound-capture';
const DNS_CAPTURE = 'ambient.istio.io/dns-capture';
const GUEST_DEVICES = 'istio.io/reroute-virtual-interfaces';
/** linux/if.h IFNAMSIZ, without the NUL; dev_valid_name() in the kernel. */
const DEVICE_NAME = /^[^\s/:]{1,15}$/;
const SIDECAR_STATUS = 'sidecar.istio.io/status';
/** As the cni chart's excludeNamespaces, plus Kubernetes' own. */
export const EXCLUDED_NAMESPACES: readonly string[] = ['istio-system', 'kube-system'];

type Labels = Readonly<Record<string, string>>;

interface Rule {
  readonly captured: boolean;
  readonly reason: string;
  matches(pod: EligibilityPod, namespaceLabels: Labels, excluded: readonly string[]): boolean;
}

export const CAPTURE_RULES: readonly Rule[] = [
  {
    captured: false,
    reason: 'the pod uses the host network',
    matches: (pod) => pod.hostNetwork,
  },
  {
    captured: false,
    reason: 'the namespace is excluded',
    matches: (pod, _labels, excluded) => excluded.includes(pod.namespace),
  },
  {
    captured: false,
    reason: 'the pod has a sidecar',
    matches: (pod) => pod.annotations[SIDECAR_STATUS] !== undefined,
  },
  {
    captured: true,
    reason: `the pod is labelled ${DATAPLANE_MODE}=ambient`,
    matches: (pod) => pod.labels[DATAPLANE_MODE] === 'ambient',
  },
  {
    captured: false,
    reason: `the pod is labelled ${DATAPLANE_MODE}=none`,
    matches: (pod) => pod.labels[DATAPLANE_MODE] === 'none',
  },
  {
    captured: true,
    reason: `the namespace is labelled ${DATAPLANE_MODE}=ambient`,
    matches: (_pod, namespaceLabels) => namespaceLabels[DATAPLANE_MODE] === 'ambient',
  },
];

export function planCapture(
  pod: EligibilityPod,
  namespaceLabels: Labels,
  defaults: CaptureDefaults,
): CaptureVerdict {
  const options = {
    bypassInbound: flagOf(pod, BYPASS_INBOUND) ?? false,
    dns: flagOf(pod, DNS_CAPTURE) ?? defaults.dns,
    guestDevices: (pod.annotations[GUEST_DEVICES] ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => DEVICE_NAME.test(name)),
  };
  const excluded = defaults.excludedNamespaces ?? EXCLUDED_NAMESPACES;
  const rule = CAPTURE_RULES.find((each) => each.matches(pod, namespaceLabels, excluded));
  const { captured, reason } = rule ?? {
    captured: false,
    reason: `neither pod nor namespace is labelled ${DATAPLANE_MODE}=ambient`,
  };
  return { captured, reason, options };
}

/** Anything but a boolean is as if it were not there. */
function flagOf(pod: EligibilityPod, annotation: string): boolean | undefined {
  const text = pod.annotations[annotation];
  return text === 'true' ? true : text === 'false' ? false : undefined;
}
