/** Why a graph is empty: the links between an application and the picture, the broken ones first, each with the command that mends it. Pure. */
import type { Diagnosis, DiagnosisStep } from '../api/graph.ts';
import type { GraphRequest } from '../console-data.ts';
import type { MeshPicture } from './mesh-picture.ts';

export interface DiagnosisFacts {
  /** Seconds since the youngest frame of any proxy; undefined: none ever came. */
  readonly ageSeconds: number | undefined;
  /** Something flowed in the window, wherever. */
  readonly hasTraffic: boolean;
  readonly windowSeconds: number;
  /** Why the store has nothing of the time, or empty. */
  readonly storeProblem: string;
}

/** Proxies report each second; beyond it they do not. */
const REPORT_SECONDS_MAX = 15;

export function diagnose(
  mesh: MeshPicture,
  facts: DiagnosisFacts,
  request: GraphRequest,
): Diagnosis {
  const steps = [
    enrolled(mesh, request),
    captured(mesh, request),
    reporting(mesh, facts),
    ...(facts.storeProblem === '' ? [] : [stored(facts)]),
    flowing(facts, request),
  ];
  const broken = steps.filter(({ state }) => state === 'no');
  const others = steps.filter(({ state }) => state !== 'no');
  const [first] = broken;
  const summary =
    first?.detail ?? 'Everything is in place; nothing that you may see had traffic in the window.';
  return { summary, steps: [...broken, ...others] };
}

function about(mesh: MeshPicture, { namespaces, visible }: GraphRequest) {
  return mesh.namespaces.filter(
    ({ name }) =>
      (namespaces.length === 0 || namespaces.includes(name)) &&
      (visible === undefined || visible.includes(name)),
  );
}

function enrolled(mesh: MeshPicture, request: GraphRequest): DiagnosisStep {
  const question = 'Is a namespace enrolled?';
  const all = about(mesh, request);
  const names = all.filter(({ isEnrolled }) => isEnrolled).map(({ name }) => name);
  if (names.length > 0) return { question, state: 'yes', detail: `Enrolled: ${listed(names)}.` };
  const [name = 'NAMESPACE'] =
    request.namespaces.length > 0 ? request.namespaces : all.map(({ name }) => name);
  return {
    question,
    state: 'no',
    detail:
      request.namespaces.length > 0
        ? `${listed([...request.namespaces])}: not enrolled in the mesh, so nothing of it is captured.`
        : 'No namespace is enrolled in the mesh, so nothing is captured.',
    command: `tulle enroll ${request.namespaces.length > 0 ? name : 'NAMESPACE'}`,
  };
}

function captured(mesh: MeshPicture, request: GraphRequest): DiagnosisStep {
  const question = 'Are its pods captured?';
  const names = new Set(
    about(mesh, request)
      .filter(({ isEnrolled }) => isEnrolled)
      .map(({ name }) => name),
  );
  const workloads = [...mesh.workloads.values()].filter(
    ({ namespace, role }) => role === 'workload' && names.has(namespace),
  );
  const count = workloads.filter(({ isCaptured }) => isCaptured).length;
  if (count > 0)
    return {
      question,
      state: 'yes',
      detail: `${count} of ${workloads.length} workloads are captured.`,
    };
  if (names.size === 0)
    return { question, state: 'unknown', detail: 'Only pods of enrolled namespaces are.' };
  const [first] = workloads;
  return {
    question,
    state: 'no',
    detail:
      first === undefined
        ? `No pod runs in ${listed([...names])}.`
        : `No workload is captured as a whole. ${first.key}: ${first.notCaptured || 'its pods wait for their node proxy'}.`,
    command: first === undefined ? `kubectl get pods -n ${[...names][0]}` : 'tulle status',
  };
}

function reporting(mesh: MeshPicture, { ageSeconds }: DiagnosisFacts): DiagnosisStep {
  const question = 'Do proxies report?';
  const { all, connected } = mesh.moment.proxies;
  if (ageSeconds !== undefined && ageSeconds <= REPORT_SECONDS_MAX)
    return {
      question,
      state: 'yes',
      detail: `${connected} of ${all} proxies are connected; the last report is ${ageSeconds} s old.`,
    };
  const when =
    ageSeconds === undefined
      ? 'No proxy has reported yet'
      : `The last report of a proxy is ${ageSeconds} s old`;
  return {
    question,
    state: 'no',
    detail: `${when}; ${connected} of ${all} proxies are connected.`,
    command: 'tulle proxy list',
  };
}

function stored({ storeProblem }: DiagnosisFacts): DiagnosisStep {
  return {
    question: 'Is what they report kept?',
    state: 'no',
    detail: storeProblem,
    command: 'tulle status',
  };
}

function flowing(
  { hasTraffic, windowSeconds }: DiagnosisFacts,
  request: GraphRequest,
): DiagnosisStep {
  const question = 'Was there traffic in the window?';
  if (hasTraffic)
    return {
      question,
      state: 'yes',
      detail:
        request.focus === undefined
          ? 'Yes, but none of it is what is shown here.'
          : `Yes, but none of ${request.focus}.`,
    };
  return {
    question,
    state: 'no',
    detail: `No request and no connection in these ${windowSeconds} s.`,
    command: 'tulle top',
  };
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
