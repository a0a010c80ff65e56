/**
 * Keeps the CNI plugin in place on the node: its program in the folder of programs, our entry in the configuration that the
 * container runtime takes. Others write there as well (the network plugin's own agent, upgrades of it): whatever they
 * take away comes back, and a new first file gets the entry, too. Every file is replaced in one step.
 */
import {
  type FSWatcher,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { Clock, Timer } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { CNI_PLUGIN, type PluginEntry } from '#cni/config.ts';
import { REDIRECT_ERRORS } from '../errors.ts';
import { INSTALL_CHECK_MS, INSTALL_REPAIR_GAP_MS, INSTALL_REPAIRS_NOTED } from '../limits.ts';
import {
  type ConfFile,
  confListOf,
  hasEntry,
  isConfName,
  primaryOf,
  withEntry,
  withoutEntry,
} from './conf-files.ts';
import { copyProgram, isSameProgram, stampOf, writeWhole } from './files.ts';

export interface InstallPlaces {
  readonly binDir: string;
  readonly confDir: string;
  /** The one file that gets our entry; undefined: whichever the runtime takes. */
  readonly confName: string | undefined;
  /** Program that becomes the plugin. */
  readonly program: string;
}

export interface InstallerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether the node is ours to look after; another generation of the agent may be. */
  isOurs(): boolean;
  /** Something was put back. */
  onRepair(what: string): void;
}

/** Beside each file that we changed, as it was before. */
const SAVED = '.tulle-saved';
const NO_CONF = 'no valid CNI configuration in it yet: is a network plugin installed?';

export class CniInstaller {
  readonly #deps: InstallerDeps;
  readonly #places: InstallPlaces;
  readonly #entry: PluginEntry;
  readonly #timer: Timer;
  #watcher: FSWatcher | undefined = undefined;
  /** Of the plugin's program, when it was last found right. */
  #stamp: string | undefined = undefined;
  #missing: string | undefined = 'the CNI plugin is not installed yet';
  #installed = false;
  #running: Promise<void> | undefined = undefined;
  #stopped = false;
  #repairedAt = Number.NEGATIVE_INFINITY;
  #repairs = 0;
  #logged = '';

  constructor(deps: InstallerDeps, places: InstallPlaces, entry: PluginEntry) {
    this.#deps = deps;
    this.#places = places;
    this.#entry = entry;
    this.#timer = deps.clock.every(INSTALL_CHECK_MS, () => void this.check());
    void this.check();
  }

  /** What is not in place; undefined when the next pod will be held for the agent. */
  get missing(): string | undefined {
    return this.#missing;
  }

  /** Looks, and puts right what is not; one look at a time. */
  check(): Promise<void> {
    this.#running ??= this.#look().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.cancel();
    this.#watcher?.close();
  }

  /** The node as it was before us. */
  async uninstall(): Promise<void> {
    this.stop();
    await this.#running;
    removeInstallation(this.#places);
    this.#deps.log.info('CNI plugin removed', { ...this.#places });
  }

  async #look(): Promise<void> {
    if (this.#stopped || !this.#deps.isOurs()) return;
    try {
      await this.#putProgram();
      // Meanwhile we may have been told to end.
      if (!this.#stopped) this.#putEntry();
    } catch (error) {
      this.#lacks(messageOf(error));
    }
  }

  async #putProgram(): Promise<void> {
    const { binDir, program } = this.#places;
    const path = join(binDir, CNI_PLUGIN);
    try {
      mkdirSync(binDir, { recursive: true });
      const stamp = stampOf(path);
      if (stamp !== undefined && stamp === this.#stamp) return;
      if (stamp === undefined || !(await isSameProgram(program, path))) {
        await copyProgram(program, path);
        this.#changed('program', path);
      }
      this.#stamp = stampOf(path);
    } catch (cause) {
      throw installFailure(`cannot put the CNI plugin into ${binDir}`, cause);
    }
  }

  #putEntry(): void {
    const { confDir, confName } = this.#places;
    this.#watch();
    const { primary, passedOver } = primaryOf(filesIn(confDir).filter(isWanted(confName)));
    if (primary === undefined) {
      const of = confName === undefined ? confDir : join(confDir, confName);
      this.#lacks([`${of}: ${NO_CONF}`, ...passedOver].join('; '));
      return;
    }
    const { file, conf } = primary;
    const changed = withEntry(file, conf, this.#entry);
    if (changed !== undefined) {
      // Who fights for the file gets it once in a while, not the whole CPU.
      const sinceMs = this.#deps.clock.now() - this.#repairedAt;
      if (this.#installed && sinceMs < INSTALL_REPAIR_GAP_MS) return;
      this.#repairedAt = this.#deps.clock.now();
      try {
        save(confDir, file, hasEntry(conf));
        writeWhole(join(confDir, changed.name), changed.text, modeOf(join(confDir, file.name)));
        // Until now the runtime took the single plugin's file, which comes first.
        if (changed.name !== file.name) rmSync(join(confDir, file.name));
      } catch (cause) {
        throw installFailure(`cannot add the CNI plugin to ${join(confDir, file.name)}`, cause);
      }
      this.#changed('configuration', join(confDir, changed.name));
    }
    this.#installed = true;
    this.#missing = undefined;
    this.#logged = '';
  }

  #changed(what: string, path: string): void {
    const { log, onRepair } = this.#deps;
    if (!this.#installed) {
      log.info('CNI plugin installed', { what, path });
      return;
    }
    onRepair(`CNI ${what}`);
    this.#repairs += 1;
    log.warn('somebody changed the CNI installation, it is repaired', { what, path });
    if (this.#repairs % INSTALL_REPAIRS_NOTED !== 0) return;
    log.warn('the CNI installation is changed again and again: does another agent own it?', {
      repairs: this.#repairs,
      hint: 'with Cilium set cni.exclusive=false; pods that start in between are captured a moment later',
    });
  }

  /** The loop comes by every second; what it lacks is said once. */
  #lacks(reason: string): void {
    this.#missing = reason;
    if (reason === this.#logged) return;
    this.#logged = reason;
    this.#deps.log.warn('CNI plugin not installed', { reason });
  }

  /** What changes is seen at once where the kernel tells; the timer finds the rest. */
  #watch(): void {
    if (this.#watcher !== undefined) return;
    const { confDir } = this.#places;
    try {
      this.#watcher = watch(confDir, () => void this.check());
      this.#watcher.on('error', () => this.#unwatch());
    } catch (error) {
      this.#deps.log.debug('folder is not watched', { confDir, error: messageOf(error) });
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}

/** Entry out of every file, files that became lists back, program away. */
export function removeInstallation({ binDir, confDir }: InstallPlaces): void {
  const files = filesIn(confDir);
  const saved = readdirOf(confDir)
    .filter((name) => name.endsWith(SAVED))
    .map((name) => readConf(confDir, name))
    .filter((file) => file !== undefined)
    .map(({ name, text }) => ({ name: name.slice(0, -SAVED.length), text }));
  for (const file of files) {
    const conf = confListOf(file);
    if (typeof conf === 'string' || !hasEntry(conf)) continue;
    const before = withoutEntry(conf, saved);
    writeWhole(join(confDir, before.name), before.text, modeOf(join(confDir, file.name)));
    if (before.name !== file.name) rmSync(join(confDir, file.name));
  }
  // Only now: a runtime that starts a plugin without a program fails every pod.
  rmSync(join(binDir, CNI_PLUGIN), { force: true });
  for (const { name } of saved) rmSync(join(confDir, `${name}${SAVED}`), { force: true });
}

/** Once: what has our entry is no original. */
function save(confDir: string, { name, text }: ConfFile, hasEntry: boolean): void {
  if (hasEntry) return;
  const path = join(confDir, name);
  writeWhole(`${path}${SAVED}`, text, modeOf(path));
}

/** The named file, or the list that it became. */
function isWanted(confName: string | undefined): (file: ConfFile) => boolean {
  if (confName === undefined) return () => true;
  const stem = (name: string) => basename(name).replace(/\.[^.]*$/, '');
  return ({ name }) => name === confName || (stem(name) === stem(confName) && isConfName(name));
}

function filesIn(confDir: string): ConfFile[] {
  return readdirOf(confDir)
    .filter(isConfName)
    .map((name) => readConf(confDir, name))
    .filter((file) => file !== undefined);
}

function readdirOf(confDir: string): string[] {
  try {
    return readdirSync(confDir);
  } catch {
    // A node without a network plugin may not have it yet.
    return [];
  }
}

function readConf(confDir: string, name: string): ConfFile | undefined {
  try {
    return { name, text: readFileSync(join(confDir, name), 'utf8') };
  } catch {
    // Gone meanwhile, or a folder.
    return undefined;
  }
}

function modeOf(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.mode ?? 0o600) & 0o777;
}

function installFailure(what: string, cause: unknown): MeshError {
  return new MeshError('REDIRECT_CNI_INSTALL', `${what}: ${messageOf(cause)}`, {
    side: 'self',
    hint: REDIRECT_ERRORS.REDIRECT_CNI_INSTALL,
    cause,
  });
}
