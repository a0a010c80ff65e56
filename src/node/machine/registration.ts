/**
 * The machine's WorkloadEntry in the API: made when it joins, kept as it is to be, deleted when it leaves. What cannot be
 * written now is written later; only the last wish counts.
 */
import { Backoff } from '#base/backoff.ts';
import { type Clock, rfc3339, type Timer } from '#base/clock.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import {
  ANNOTATIONS,
  entryObject,
  type MachineState,
  type MachineWords,
  nameConflict,
  type WorkloadEntry,
  type WorkloadGroup,
} from './entry.ts';
import { MACHINE_ERRORS } from './errors.ts';
import type { HealthVerdict } from './health.ts';
import { REGISTER_RETRY_CAP_MS, REGISTER_RETRY_INITIAL_MS } from './limits.ts';

export const FIELD_MANAGER = 'tulle-join';
const WORKLOAD_ENTRIES = RESOURCES.workloadEntries;

export interface RegistrationDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class Registration {
  readonly #deps: RegistrationDeps;
  readonly #words: MachineWords;
  readonly #group: WorkloadGroup | undefined;
  readonly #backoff: Backoff;
  /** Made by somebody else: theirs to delete. */
  #adopted = false;
  #state: MachineState = { captured: false };
  #health: HealthVerdict | undefined = undefined;
  /** What is still to be written. */
  #pending = { entry: false, health: false };
  #writing = false;
  #retry: Timer | undefined = undefined;
  #over = false;

  constructor(deps: RegistrationDeps, words: MachineWords, group: WorkloadGroup | undefined) {
    this.#deps = deps;
    this.#words = words;
    this.#group = group;
    this.#backoff = new Backoff(deps.random, {
      initialMs: REGISTER_RETRY_INITIAL_MS,
      capMs: REGISTER_RETRY_CAP_MS,
    });
  }

  /** Nothing is written any more. */
  get ended(): boolean {
    return this.#over;
  }

  /** Makes the entry, not yet to be called; rejects when the name is another's or it may not be written. */
  async begin(): Promise<'made' | 'adopted'> {
    const found = await this.#read();
    const conflict = found && nameConflict(found, this.#words);
    if (conflict !== undefined) {
      const hint = MACHINE_ERRORS.JOIN_NAME_TAKEN;
      throw new MeshError('JOIN_NAME_TAKEN', conflict, { side: 'config', hint });
    }
    this.#adopted =
      found !== undefined && found.metadata.annotations?.[ANNOTATIONS.machine] === undefined;
    await this.#apply();
    if (found?.status !== undefined) await this.#writeHealth(JOINING);
    return this.#adopted ? 'adopted' : 'made';
  }

  /** Everything is in place: peers may come by HBONE. */
  captured(trustDomain: string): void {
    this.#state = { captured: true, trustDomain };
    this.#want({ entry: true });
  }

  health(verdict: HealthVerdict): void {
    this.#health = verdict;
    this.#want({ health: true });
  }

  /** Somebody deleted it while we are here: it is written again. */
  lost(): void {
    this.#want({ entry: true, health: this.#health !== undefined });
  }

  /** Deletes what we made; else says that nobody is behind it any more. Rejects when the API cannot be asked. */
  async end(keep: boolean): Promise<'deleted' | 'kept'> {
    this.#over = true;
    this.#retry?.cancel();
    const key = this.#words;
    if (!keep && !this.#adopted) {
      await this.#deps.client.delete(WORKLOAD_ENTRIES, key).catch(unlessGone);
      return 'deleted';
    }
    await this.#writeHealth(LEFT);
    const body = { metadata: { annotations: { [ANNOTATIONS.redirection]: null } } };
    await this.#deps.client.patch(WORKLOAD_ENTRIES, key, { type: 'merge', body });
    return 'kept';
  }

  #read(): Promise<WorkloadEntry | undefined> {
    return this.#deps.client.get<WorkloadEntry>(WORKLOAD_ENTRIES, this.#words).catch(unlessGone);
  }

  async #apply(): Promise<void> {
    const body = entryObject(this.#words, this.#group, this.#state);
    const { namespace, name } = this.#words;
    try {
      await this.#deps.client.patch(
        WORKLOAD_ENTRIES,
        { namespace, name },
        { type: 'apply', body },
        { fieldManager: FIELD_MANAGER },
      );
    } catch (cause) {
      if (!isMeshError(cause, 'KUBE_CONFLICT')) throw cause;
      const hint = MACHINE_ERRORS.JOIN_CONFLICT;
      throw new MeshError('JOIN_CONFLICT', cause.message, { side: 'config', hint, cause });
    }
  }

  async #writeHealth({ healthy, reason, message }: HealthVerdict): Promise<void> {
    const { client, clock } = this.#deps;
    const now = rfc3339(clock, 's');
    const condition = {
      type: 'Healthy',
      status: healthy ? 'True' : 'False',
      reason,
      message,
      lastProbeTime: now,
      lastTransitionTime: now,
    };
    const body = { status: { conditions: [condition] } };
    const subresource = 'status';
    await client.patch(WORKLOAD_ENTRIES, this.#words, { type: 'merge', body }, { subresource });
  }

  #want(what: { entry?: boolean; health?: boolean }): void {
    const { entry = this.#pending.entry, health = this.#pending.health } = what;
    this.#pending = { entry, health };
    this.#retry?.cancel();
    void this.#write();
  }

  /** One at a time; what is wanted meanwhile is written after. */
  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      while (!this.#over && (this.#pending.entry || this.#pending.health)) {
        const { entry } = this.#pending;
        this.#pending = entry ? { ...this.#pending, entry: false } : { entry, health: false };
        await (entry ? this.#apply() : this.#writeHealth(this.#health ?? JOINING));
      }
      this.#backoff.reset();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#writing = false;
    }
  }

  #failed(error: unknown): void {
    if (this.#over) return;
    const { clock, log } = this.#deps;
    const { namespace, name } = this.#words;
    // Whatever failed, both are written again: the entry may be gone, and its status with it.
    this.#pending = { entry: true, health: this.#health !== undefined };
    const retryMs = this.#backoff.nextDelayMs();
    log.warn('cannot write the WorkloadEntry', {
      entry: `${namespace}/${name}`,
      error: messageOf(error),
      retryMs,
    });
    this.#retry = clock.after(retryMs, () => void this.#write());
  }
}

const JOINING: HealthVerdict = {
  healthy: false,
  reason: 'Joining',
  message: 'the machine is not ready yet',
};
const LEFT: HealthVerdict = {
  healthy: false,
  reason: 'Left',
  message: 'the machine left the mesh',
};

function unlessGone(error: unknown): undefined {
  if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
  throw error;
}
