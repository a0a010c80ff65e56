/** Which pods are captured, and why: Istio's default enablement rules as an ordered table (first match decides). */

export interface EligibilityPod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly hostNetwork: boolean;
}

export interface CaptureVerdict {
  readonly captured: boolean;
  readonly reason: string;
  /** Outbound only: the pod handles what comes in itself. */
  readonly bypassInbound: boolean;
}

export const DATAPLANE_MODE = 'istio.io/dataplane-mode';
export const REDIRECTION_ANNOTATION = 'ambient.istio.io/redirection';
const BYPASS_INBOUND = 'ambient.istio.io/bypass-inbound-capture';
const SIDECAR_STATUS = 'sidecar.istio.io/status';
/** As the cni chart's excludeNamespaces, plus Kubernetes' own. */
const EXCLUDED_NAMESPACES: readonly string[] = ['istio-system', 'kube-system'];

type Labels = Readonly<Record<string, string>>;

interface Rule {
  readonly captured: boolean;
  readonly reason: string;
  matches(pod: EligibilityPod, namespaceLabels: Labels): boolean;
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
    matches: (pod) => EXCLUDED_NAMESPACES.includes(pod.namespace),
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

export function planCapture(pod: EligibilityPod, namespaceLabels: Labels): CaptureVerdict {
  const bypassInbound = pod.annotations[BYPASS_INBOUND] === 'true';
  const rule = CAPTURE_RULES.find((each) => each.matches(pod, namespaceLabels));
  if (rule !== undefined) return { captured: rule.captured, reason: rule.reason, bypassInbound };
  const reason = `neither pod nor namespace is labelled ${DATAPLANE_MODE}=ambient`;
  return { captured: false, reason, bypassInbound };
}
