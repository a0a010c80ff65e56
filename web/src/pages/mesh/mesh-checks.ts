/**
 * Is the mesh itself the problem? The questions that somebody on call asks, each with its answer, and the sentence over them. Pure.
 */
import type { ControlRow, MeshAnswer, ProxyRow, StoreState } from '#console/api/mesh.ts';

export interface MeshCheck {
  readonly question: string;
  readonly state: 'good' | 'bad' | 'watch' | 'unknown';
  readonly answer: string;
  /** Shows more, or mends it. */
  readonly command: string;
}

export interface MeshVerdict {
  readonly state: 'good' | 'bad' | 'watch';
  readonly sentence: string;
}

/** Certificates, samples and spans are ordered by time: a clock that is further off is worth a word. */
export const CLOCK_OFFSET_MS_MAX = 2000;
/** A report each second is the rule. */
export const REPORT_AGE_MS_MAX = 15_000;

export function meshChecks(mesh: MeshAnswer): MeshCheck[] {
  return [
    controlCheck(mesh.control),
    leaderCheck(mesh.control),
    syncCheck(mesh.proxies),
    reportCheck(mesh.proxies, Date.parse(mesh.generatedAt)),
    versionCheck(mesh.control, mesh.proxies),
    clockCheck(mesh.proxies),
    storeCheck(mesh.store),
  ];
}

export function meshVerdict(mesh: MeshAnswer, checks: readonly MeshCheck[]): MeshVerdict {
  const bad = checks.filter((check) => check.state === 'bad');
  const watch = checks.filter((check) => check.state === 'watch');
  if (bad.length > 0 || mesh.problems.length > 0) {
    const first = mesh.problems[0]?.message ?? bad[0].answer;
    return { state: 'bad', sentence: `The mesh may be the problem: ${lowerFirst(first)}` };
  }
  if (watch.length > 0)
    return {
      state: 'watch',
      sentence: `The mesh works; worth a look: ${lowerFirst(watch[0].answer)}`,
    };
  const control = plural(mesh.control.length, 'control plane replica');
  const proxies = plural(mesh.proxies.length, 'proxy', 'proxies');
  // None is known to readers who may not see the mesh's own namespace.
  const ready = mesh.control.length === 0 ? '' : `${control} ready, `;
  return {
    state: 'good',
    sentence: `The mesh is not the problem: ${ready}${proxies} in sync`,
  };
}

const lowerFirst = (text: string) =>
  /^[A-Z][a-z]/.test(text) ? text[0].toLowerCase() + text.slice(1) : text;

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function controlCheck(control: readonly ControlRow[]): MeshCheck {
  const question = 'Is the control plane ready?';
  const command = 'tulle status';
  const away = control.filter((row) => !row.isReady);
  if (control.length === 0)
    return { question, state: 'unknown', answer: 'No replica is known', command };
  if (away.length === 0)
    return {
      question,
      state: 'good',
      answer: `${plural(control.length, 'replica')} ready`,
      command,
    };
  const names = away.map((row) => row.pod).join(', ');
  return {
    question,
    state: away.length === control.length ? 'bad' : 'watch',
    answer: `${away.length} of ${plural(control.length, 'replica')} not ready: ${names}`,
    command,
  };
}

function leaderCheck(control: readonly ControlRow[]): MeshCheck {
  const question = 'Does one replica lead?';
  const command = 'kubectl get lease -n istio-system';
  if (control.length === 0)
    return { question, state: 'unknown', answer: 'No replica is known', command };
  const revisions = [...new Set(control.map((row) => row.revision))];
  const wrong = revisions.filter(
    (revision) => control.filter((row) => row.revision === revision && row.isLeader).length !== 1,
  );
  if (wrong.length === 0)
    return {
      question,
      state: 'good',
      answer: control
        .filter((row) => row.isLeader)
        .map((row) => row.pod)
        .join(', '),
      command,
    };
  const count = control.filter((row) => row.isLeader).length;
  const mute = control.filter((row) => row.isLeader === undefined).map((row) => row.pod);
  if (count === 0 && mute.length > 0)
    return {
      question,
      state: 'unknown',
      answer: `Perhaps one of those that did not say: ${mute.join(', ')}`,
      command,
    };
  return {
    question,
    state: 'bad',
    answer:
      count === 0
        ? 'No replica leads: statuses and gateways are not kept up'
        : `${count} replicas say that they lead`,
    command,
  };
}

function syncCheck(proxies: readonly ProxyRow[]): MeshCheck {
  const question = 'Do all proxies have the configuration?';
  const command = 'tulle status';
  const counted = (sync: ProxyRow['sync']) => proxies.filter((row) => row.sync === sync);
  const refused = counted('refused');
  const gone = counted('disconnected');
  const waiting = counted('waiting');
  const parts = [
    refused.length > 0 ? `${refused.length} refuse it` : '',
    gone.length > 0 ? `${gone.length} disconnected` : '',
    waiting.length > 0 ? `${waiting.length} waiting` : '',
  ].filter((part) => part !== '');
  if (proxies.length === 0)
    return { question, state: 'unknown', answer: 'No proxy is connected', command };
  const answer = `${counted('synced').length} of ${proxies.length} in sync`;
  if (parts.length === 0) return { question, state: 'good', answer, command };
  const state = refused.length + gone.length > 0 ? 'bad' : 'watch';
  return { question, state, answer: `${answer}: ${parts.join(', ')}`, command };
}

function reportCheck(proxies: readonly ProxyRow[], nowMs: number): MeshCheck {
  const question = 'Do all proxies report?';
  const command = 'tulle proxy list';
  const silent = proxies.filter(
    (row) => row.reportedAt === undefined || nowMs - Date.parse(row.reportedAt) > REPORT_AGE_MS_MAX,
  );
  if (proxies.length === 0)
    return { question, state: 'unknown', answer: 'No proxy is connected', command };
  if (silent.length === 0)
    return { question, state: 'good', answer: 'Each within the last seconds', command };
  return {
    question,
    state: 'watch',
    answer: `Silent: ${silent.map((row) => row.name).join(', ')}. The graph lacks what they see`,
    command,
  };
}

function versionCheck(control: readonly ControlRow[], proxies: readonly ProxyRow[]): MeshCheck {
  const question = 'Do versions agree?';
  const command = 'tulle version';
  const versions = [...new Set([...control, ...proxies].map((row) => row.version))]
    .filter((each) => each !== '')
    .sort();
  if (versions.length === 0)
    return { question, state: 'unknown', answer: 'No version is known', command };
  if (versions.length === 1)
    return { question, state: 'good', answer: `All ${versions[0]}`, command };
  return { question, state: 'watch', answer: `Seen: ${versions.join(', ')}`, command };
}

function clockCheck(proxies: readonly ProxyRow[]): MeshCheck {
  const question = 'Do clocks agree?';
  const command = 'timedatectl';
  const known = proxies.filter((row) => row.clockOffsetMs !== undefined);
  if (known.length === 0)
    return { question, state: 'unknown', answer: 'No offset is known', command };
  const worst = known.reduce((most, row) =>
    Math.abs(row.clockOffsetMs!) > Math.abs(most.clockOffsetMs!) ? row : most,
  );
  const off = Math.abs(worst.clockOffsetMs!);
  if (off <= CLOCK_OFFSET_MS_MAX)
    return { question, state: 'good', answer: `Within ${Math.round(off)} ms`, command };
  return {
    question,
    state: 'watch',
    answer: `${worst.name} is ${(off / 1000).toFixed(1)} s ${worst.clockOffsetMs! > 0 ? 'ahead' : 'behind'}`,
    command,
  };
}

function storeCheck(store: StoreState): MeshCheck {
  const question = 'Is what happens kept?';
  const command = 'tulle status';
  if (store.problem !== undefined)
    return { question, state: 'watch', answer: store.problem, command };
  const dropped = store.droppedSpans + store.droppedRecords;
  if (dropped > 0)
    return {
      question,
      state: 'watch',
      answer: `${store.droppedSpans} spans and ${store.droppedRecords} records were dropped`,
      command,
    };
  return {
    question,
    state: 'good',
    answer: store.isPersistent ? 'Yes, on disk' : 'Yes, in memory: a restart forgets it',
    command,
  };
}
