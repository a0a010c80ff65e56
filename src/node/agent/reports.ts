/**
 * Writes how far the capture of each pod is into its annotation: the newest value only, one write a pod at a time, and
 * again until it is written.
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { REDIRECTION_ANNOTATION } from '#redirect/plan.ts';
import { CAPTURE_RETRY_CAP_MS, CAPTURE_RETRY_INITIAL_MS } from '../limits.ts';
import type { RedirectionReport } from './captured-pod.ts';

export interface ReportedPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

interface Entry {
  pod: ReportedPod;
  wanted: RedirectionReport;
  /** Undefined until one write has succeeded: what is there is not known. */
  written: { value: RedirectionReport } | undefined;
  writing: boolean;
  timer: Timer | undefined;
  backoff: Backoff;
}

export class RedirectionReports {
  readonly #deps: { client: KubeClient; clock: Clock; random: Random; log: Logger };
  readonly #entries = new Map<string, Entry>();

  constructor(deps: { client: KubeClient; clock: Clock; random: Random; log: Logger }) {
    this.#deps = deps;
  }

  set(pod: ReportedPod, value: RedirectionReport): void {
    const entry = this.#entries.get(pod.uid) ?? this.#add(pod);
    entry.wanted = value;
    this.#write(entry);
  }

  /** What the API shows: somebody may have changed it. */
  observe(uid: string, value: string | undefined): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined || entry.writing || entry.timer !== undefined) return;
    if (value === entry.wanted) return;
    entry.written = undefined;
    this.#write(entry);
  }

  forget(uid: string): void {
    this.#entries.get(uid)?.timer?.cancel();
    this.#entries.delete(uid);
  }

  stop(): void {
    for (const uid of [...this.#entries.keys()]) this.forget(uid);
  }

  #add(pod: ReportedPod): Entry {
    const backoff = new Backoff(this.#deps.random, {
      initialMs: CAPTURE_RETRY_INITIAL_MS,
      capMs: CAPTURE_RETRY_CAP_MS,
    });
    const entry: Entry = {
      pod,
      wanted: undefined,
      written: undefined,
      writing: false,
      timer: undefined,
      backoff,
    };
    this.#entries.set(pod.uid, entry);
    return entry;
  }

  #write(entry: Entry): void {
    if (entry.writing) return;
    if (entry.written !== undefined && entry.written.value === entry.wanted) return;
    entry.timer?.cancel();
    entry.timer = undefined;
    entry.writing = true;
    const value = entry.wanted;
    this.#patch(entry.pod, value).then(
      () => {
        entry.writing = false;
        entry.written = { value };
        entry.backoff.reset();
        if (this.#entries.get(entry.pod.uid) === entry) this.#write(entry);
      },
      (error: unknown) => {
        entry.writing = false;
        this.#failed(entry, error);
      },
    );
  }

  async #patch({ uid, namespace, name }: ReportedPod, value: RedirectionReport): Promise<void> {
    // The uid makes it a conflict when another pod has the name by now.
    const metadata = { uid, annotations: { [REDIRECTION_ANNOTATION]: value ?? null } };
    const patch = { type: 'merge' as const, body: { metadata } };
    const { client } = this.#deps;
    await client.patch(RESOURCES.pods, { namespace, name }, patch, { subresource: 'status' });
  }

  #failed(entry: Entry, error: unknown): void {
    const { pod, backoff } = entry;
    if (this.#entries.get(pod.uid) !== entry) return;
    if (isMeshError(error, 'KUBE_NOT_FOUND')) {
      this.forget(pod.uid);
      return;
    }
    const { clock, log } = this.#deps;
    const name = `${pod.namespace}/${pod.name}`;
    log.warn('cannot annotate pod yet', { pod: name, error: messageOf(error) });
    entry.timer = clock.after(backoff.nextDelayMs(), () => {
      entry.timer = undefined;
      this.#write(entry);
    });
  }
}
