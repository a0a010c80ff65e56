/**
 * AdmissionReview (admission.k8s.io/v1) in, its answer out. An object with an error among its findings is denied with each field, what
 * is wrong with it and what to do; other findings are warnings that kubectl prints.
 */
import type { Finding } from '#config/compile/finding.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { REVIEW_FINDINGS_MAX, WARNING_CHARACTERS_MAX } from '../limits.ts';
import { type JudgeOptions, judgeObject } from './judge.ts';

export interface AdmissionAnswer {
  readonly apiVersion: 'admission.k8s.io/v1';
  readonly kind: 'AdmissionReview';
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly status?: { readonly code: number; readonly reason: string; readonly message: string };
    readonly warnings?: readonly string[];
  };
}

interface AdmissionRequest {
  readonly uid: string;
  readonly object?: KubeObject & { readonly spec?: object };
}

/** Undefined: that is no AdmissionReview. `onRefused` hears of each object that is denied. */
export function answerReview(
  body: unknown,
  options: JudgeOptions,
  onRefused: (findings: readonly Finding[]) => void = () => undefined,
): AdmissionAnswer | undefined {
  const request = requestIn(body);
  if (request === undefined) return undefined;
  const { uid, object } = request;
  // What is deleted has no new form to judge.
  const findings = object ? (judgeObject(object, options) ?? []) : [];
  const errors = findings.filter(({ level }) => level === 'error');
  const warnings = findings
    .filter(({ level }) => level === 'warning')
    .slice(0, REVIEW_FINDINGS_MAX)
    .map((finding) => textOf(finding).slice(0, WARNING_CHARACTERS_MAX));
  if (errors.length > 0) onRefused(errors);
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed: errors.length === 0,
      ...(errors.length > 0 && {
        status: { code: 422, reason: 'Invalid', message: refusal(errors) },
      }),
      ...(warnings.length > 0 && { warnings }),
    },
  };
}

function requestIn(body: unknown): AdmissionRequest | undefined {
  const { request } = (body ?? {}) as { request?: Partial<AdmissionRequest> | null };
  if (typeof request?.uid !== 'string' || request.uid === '') return undefined;
  const { uid, object } = request;
  if (object === undefined || object === null) return { uid };
  const isObject =
    typeof object.apiVersion === 'string' &&
    typeof object.kind === 'string' &&
    typeof object.metadata === 'object' &&
    object.metadata !== null;
  return isObject ? { uid, object: named(object) } : undefined;
}

/** An object with generateName has no name yet. */
function named(object: NonNullable<AdmissionRequest['object']>) {
  const { metadata } = object;
  const name = metadata.name ?? `${metadata.generateName ?? ''}…`;
  return { ...object, metadata: { ...metadata, name } };
}

function refusal(errors: readonly Finding[]): string {
  const shown = errors.slice(0, REVIEW_FINDINGS_MAX).map(textOf);
  const more = errors.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function textOf({ code, path, message, hint }: Finding): string {
  return `${path}: ${message} (${code}; ${hint})`;
}
