/**
 * What every request needs, in one place: the snapshot in force, the clock, the recorder. It owns no sockets: listeners
 * hand it exchanges, `dial` (inside the upstream store) opens connections.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { HttpClientConnection, ServerExchange } from '#http/dispatch/dispatch.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { Verdict } from '#model/authorization/authorization.ts';
import type { DialEndpoint, EndpointGroup } from '#upstream/group/endpoint-group.ts';
import type { EndpointState } from '#upstream/group/endpoint-state.ts';
import { UpstreamStore } from '#upstream/group/upstream-store.ts';
import { compileSnapshot, type Snapshot, type SnapshotInput } from './config/snapshot.ts';
import { DeadlineWheel } from './deadlines.ts';
import { DEADLINE_STEP_MS } from './limits.ts';
import { RequestRun } from './phases/request-run.ts';
import type { Recorder } from './record/recorder.ts';
import type { Tunnel } from './tunnel.ts';

export type HttpGroup = EndpointGroup<HttpClientConnection>;
export type HttpEndpoint = EndpointState<HttpClientConnection>;

export interface EngineDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  dial: DialEndpoint<HttpClientConnection>;
  recorder: Recorder;
  authorize?: Authorize;
}

/** L7 policy: undefined or an allowing verdict lets the request pass. */
export type Authorize = (tunnel: Tunnel, request: MessageHead) => Verdict | undefined;

export class Engine {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly recorder: Recorder;
  readonly authorize: Authorize | undefined;
  readonly deadlines: DeadlineWheel;
  readonly upstreams: UpstreamStore<HttpClientConnection>;
  snapshot: Snapshot<HttpClientConnection> | undefined = undefined;
  /** Requests in flight. */
  active = 0;

  constructor(deps: EngineDeps) {
    const { clock, random, log } = deps;
    this.clock = clock;
    this.random = random;
    this.log = log;
    this.recorder = deps.recorder;
    this.authorize = deps.authorize;
    this.deadlines = new DeadlineWheel(clock, DEADLINE_STEP_MS);
    const events = {
      onHealth: (event: 'ejected' | 'restored', group: HttpGroup, state: HttpEndpoint) =>
        this.#logHealth(event, group, state),
      onLearned: (protocol: 'h1' | 'h2', group: HttpGroup, state: HttpEndpoint) =>
        this.#logLearned(protocol, group, state),
    };
    this.upstreams = new UpstreamStore({ clock, random, dial: deps.dial, events });
  }

  /** Compiles and swaps in one turn; requests under way keep the snapshot they have. */
  configure(input: SnapshotInput): void {
    const known = new Set(this.snapshot?.problems);
    const snapshot = compileSnapshot(input, this.upstreams, this.snapshot);
    this.snapshot = snapshot;
    for (const problem of snapshot.problems) {
      if (!known.has(problem)) this.log.warn('configuration problem', { problem });
    }
  }

  serve(tunnel: Tunnel, exchange: ServerExchange): void {
    this.active += 1;
    new RequestRun(this, tunnel, exchange).start();
  }

  /** Called by a request when it is over. */
  finished(): void {
    this.active -= 1;
  }

  close(): void {
    this.upstreams.close();
  }

  #logHealth(event: 'ejected' | 'restored', group: HttpGroup, state: HttpEndpoint): void {
    const { ejection } = state.health;
    const until = ejection === undefined ? undefined : new Date(ejection.untilMs).toISOString();
    const fields = { endpoint: state.endpoint.name, address: state.address, of: group.description };
    if (event === 'ejected') {
      this.log.warn('endpoint ejected', { ...fields, reason: ejection?.reason, until });
    } else this.log.info('endpoint takes requests again after its ejection', fields);
  }

  #logLearned(protocol: 'h1' | 'h2', group: HttpGroup, state: HttpEndpoint): void {
    const name = `${state.endpoint.name} (${state.address})`;
    if (protocol === 'h1') {
      this.log.info(`endpoint ${name} speaks only HTTP/1.1; h2UpgradePolicy UPGRADE not applied`, {
        of: group.description,
      });
    } else this.log.info(`endpoint ${name} speaks HTTP/2`, { of: group.description });
  }
}
