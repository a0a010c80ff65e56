/**
 * The scenes of a graph, one for each level of detail. Those of a small graph are made when they are looked at. Those of a large one are made ahead in small
 * steps, and until one is there the best of what is there is shown: the same level of the graph before, or a farther one.
 */
import type { Level, Scene, Steps } from './marks.ts';
import { finished, levelAt, type SceneRequest, sceneOf, sceneSteps } from './scene.ts';

/** With fewer, a scene is made within a frame. */
export const LARGE_EDGES = 2000;
/** As one zooms in. */
const LEVELS: readonly Level[] = ['namespaces', 'apps', 'workloads'];

export interface ShelfOptions {
  /** Of the same view: what it shows holds until this one's scenes are made. */
  readonly before?: SceneShelf;
  /** Made already. */
  readonly far?: Scene;
  /** To be shown at every level: there is nothing yet to make others of. */
  readonly only?: Scene;
}

export class SceneShelf {
  readonly #request: Omit<SceneRequest, 'level'>;
  readonly #made = new Map<Level, Scene>();
  readonly #only: Scene | undefined;
  /** Of graphs before this one, by level. */
  #before: ReadonlyMap<Level, Scene>;
  #making: { readonly level: Level; readonly steps: Steps<Scene> } | undefined;
  #wanted: Level = 'namespaces';

  constructor(request: Omit<SceneRequest, 'level'>, options: ShelfOptions = {}) {
    const { before, far, only } = options;
    this.#request = request;
    this.#only = only;
    this.#before = before === undefined ? new Map() : new Map([...before.#before, ...before.#made]);
    if (far !== undefined) this.#made.set(far.level, far);
  }

  /** The same object while nothing changed. */
  at(zoom: number): Scene {
    if (this.#only !== undefined) return this.#only;
    const level = levelAt(zoom, this.#request.nodes.length);
    this.#wanted = level;
    return this.#made.get(level) ?? this.#meanwhile(level) ?? this.whole(level);
  }

  /** That of a level, made now where it is missing. */
  whole(level: Level): Scene {
    let scene = this.#made.get(level);
    if (scene === undefined) {
      scene =
        this.#making?.level === level
          ? finished(this.#making.steps)
          : sceneOf({ ...this.#request, level });
      if (this.#making?.level === level) this.#making = undefined;
      this.#made.set(level, scene);
    }
    return scene;
  }

  /** Makes what is missing until it should stop. True when a level was finished, which may be looked at now. */
  work(mustStop: () => boolean): boolean {
    while (!this.isDone) {
      const level = this.#next();
      if (level === undefined) break;
      this.#making ??= { level, steps: sceneSteps({ ...this.#request, level }) };
      const step = this.#making.steps.next();
      if (step.done) {
        this.#made.set(this.#making.level, step.value);
        this.#making = undefined;
        if (this.isDone) this.#before = new Map();
        return true;
      }
      if (mustStop()) break;
    }
    return false;
  }

  /** Nothing is left to be made ahead. */
  get isDone(): boolean {
    return !this.#isLarge || this.#next() === undefined;
  }

  get #isLarge(): boolean {
    return this.#request.edges.length > LARGE_EDGES;
  }

  /** What is looked at first, then from far to near. */
  #next(): Level | undefined {
    return [this.#wanted, ...LEVELS].find((level) => !this.#made.has(level));
  }

  #meanwhile(level: Level): Scene | undefined {
    if (!this.#isLarge) return undefined;
    const farther = LEVELS.slice(0, LEVELS.indexOf(level)).toReversed();
    return (
      this.#before.get(level) ??
      farther.map((each) => this.#made.get(each)).find((scene) => scene !== undefined) ??
      farther.map((each) => this.#before.get(each)).find((scene) => scene !== undefined)
    );
  }
}
