/** One proxy on the push server: who it is, what it was sent, what it answered. */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { ServerStream } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import type { Node } from '#wire/protobuf/discovery.ts';
import { structString } from '#wire/protobuf/well-known.ts';
import { SharedNames } from '#xds/delta/holdings.ts';
import { parseNodeId } from '#xds/node.ts';
import { DeltaStream } from '#xds/server/delta-stream.ts';
import type { Caller } from './caller.ts';
import type { EncodedSet } from './encoded-resources.ts';
import type { Entrant, FirstSyncs } from './first-syncs.ts';
import type { NodeScope } from './resource-source.ts';

export interface TypeSyncState {
  readonly typeUrl: string;
  /** Resources that the proxy holds once it has read everything sent. */
  readonly resources: number;
  readonly nonceSent: string | undefined;
  readonly nonceAcked: string | undefined;
  /** Why the proxy refused (a part of) the last response. */
  readonly nack: string | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly sentAt: number | undefined;
  readonly answeredAt: number | undefined;
  readonly state: 'synced' | 'waiting' | 'refused' | 'idle';
}

export interface ProxySyncState {
  /** xDS node id. */
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly namespace: string;
  readonly nodeName: string | undefined;
  readonly ip: string;
  readonly connectedAt: number;
  readonly types: readonly TypeSyncState[];
}

export interface ProxyStreamOptions {
  /** Makes nonces unique over the streams of this process. */
  readonly connection: number;
  readonly resources: EncodedSet;
  readonly stream: ServerStream;
  /** Whose turn it is to be sent everything. */
  readonly firstSyncs: FirstSyncs;
  readonly onState: () => void;
  readonly onPushed: () => void;
  /** What is known here is all there is; else `flush` is called when that may have changed. */
  readonly isCurrent: () => boolean;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Admitted {
  readonly id: string;
  readonly ip: string;
  readonly scope: NodeScope;
}

export class ProxyStream implements Entrant {
  caller: Caller | undefined;
  readonly #deps: Deps;
  readonly #options: ProxyStreamOptions;
  readonly #delta: DeltaStream;
  readonly #connectedAt: number;
  readonly #times = new Map<string, { sentAt?: number; answeredAt?: number }>();
  #admitted: Admitted | undefined;
  #nonces = 0;
  #isHeld = false;

  constructor(deps: Deps, options: ProxyStreamOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#connectedAt = deps.clock.wallTime();
    const prefix = Buffer.from(deps.random.bytes(4)).toString('hex');
    this.#delta = new DeltaStream({
      send: (bytes) => options.stream.send(bytes),
      admit: (node) => this.#admit(node),
      view: (typeUrl) => this.#view(typeUrl),
      // Of what we do not have nobody can hold anything.
      names: (typeUrl) => options.resources.get(typeUrl)?.held ?? new SharedNames(),
      mayTakeBack: () => this.#mayTakeBack(),
      mayStart: () => options.firstSyncs.mayEnter(this),
      nextNonce: () => `${prefix}-${options.connection}-${++this.#nonces}`,
      onAnswer: (typeUrl, answer) => this.#onAnswer(typeUrl, answer),
      onSent: (typeUrl, sent) => {
        this.#time(typeUrl).sentAt = deps.clock.wallTime();
        deps.log.debug('pushed', { proxy: this.#admitted?.id, type: typeUrl, ...sent });
        options.onPushed();
        options.onState();
      },
    });
  }

  onMessage(bytes: Uint8Array): void {
    const refusal = this.#delta.onMessage(bytes);
    if (refusal === undefined) return;
    this.#deps.log.warn('xDS stream refused', { peer: this.#options.stream.peer, reason: refusal });
    const code =
      this.#admitted === undefined ? GRPC_STATUS.permissionDenied : GRPC_STATUS.invalidArgument;
    this.#options.stream.close({ code, details: refusal });
  }

  onChange(typeUrl: string, names: readonly string[]): void {
    this.#delta.onChange(typeUrl, names);
  }

  flush(): void {
    this.#delta.flush();
  }

  enter(): void {
    this.flush();
  }

  /** The stream is closed. */
  left(): void {
    this.#options.firstSyncs.leave(this);
    this.#delta.close();
  }

  close(reason: string): void {
    this.#options.stream.close({ code: GRPC_STATUS.unavailable, details: reason });
  }

  /** Undefined until the proxy said who it is. */
  state(): ProxySyncState | undefined {
    if (this.#admitted === undefined) return undefined;
    const { id, ip, scope } = this.#admitted;
    const types = this.#delta.status().map((status): TypeSyncState => {
      const { sentAt, answeredAt } = this.#time(status.typeUrl);
      return { ...status, sentAt, answeredAt, state: stateOf(status) };
    });
    const { type, name, namespace, nodeName } = scope;
    return { id, type, name, namespace, nodeName, ip, connectedAt: this.#connectedAt, types };
  }

  #admit(node: Node | undefined): string | undefined {
    if (node === undefined) return 'the first request names no node';
    const parsed = parseNodeId(node.id);
    if (parsed === undefined) return `node id ${node.id} is malformed`;
    const { caller } = this;
    if (caller === undefined) return 'the caller is not known';
    // As istiod does (pilot/pkg/xds/auth.go): nobody reads the configuration of another namespace's proxy.
    if (caller.namespace !== parsed.podNamespace) {
      return `identity of namespace ${caller.namespace} may not act as ${node.id}`;
    }
    const claimed = structString(node.metadata, 'SERVICE_ACCOUNT');
    if (claimed !== undefined && claimed !== caller.serviceAccount) {
      return `identity ${caller.serviceAccount} may not act as service account ${claimed}`;
    }
    const { pod } = caller;
    // A token of one pod is no right to another pod's certificates and listeners.
    if (pod !== undefined && pod.name !== parsed.podName) {
      return `pod ${pod.name} may not act as ${node.id}`;
    }
    this.#admitted = {
      id: node.id,
      ip: parsed.ip,
      scope: {
        type: parsed.type,
        name: parsed.podName,
        namespace: parsed.podNamespace,
        nodeName: structString(node.metadata, 'NODE_NAME'),
        gateway: structString(node.metadata, 'GATEWAY_NAME') ?? caller.serviceAccount,
        isPodProven: pod !== undefined,
      },
    };
    this.#deps.log.info('proxy connected', { proxy: node.id, peer: this.#options.stream.peer });
    this.#options.onState();
    return undefined;
  }

  #view(typeUrl: string) {
    const resources = this.#options.resources.get(typeUrl);
    if (resources === undefined || !resources.source.ready || this.#admitted === undefined) {
      return undefined;
    }
    return resources.view(this.#admitted.scope);
  }

  #mayTakeBack(): boolean {
    const isCurrent = this.#options.isCurrent();
    if (!isCurrent && !this.#isHeld)
      this.#deps.log.warn('proxy keeps what it has until the API is followed', {
        proxy: this.#admitted?.id,
        reason: 'it holds what is not known here',
      });
    this.#isHeld = !isCurrent;
    return isCurrent;
  }

  #onAnswer(typeUrl: string, answer: 'acked' | 'nacked'): void {
    this.#time(typeUrl).answeredAt = this.#deps.clock.wallTime();
    if (answer === 'nacked') {
      const reason = this.#delta.status().find((status) => status.typeUrl === typeUrl)?.nack;
      this.#deps.log.warn('proxy refused', { proxy: this.#admitted?.id, type: typeUrl, reason });
    }
    if (this.#delta.isSettled) this.#options.firstSyncs.leave(this);
    this.#options.onState();
  }

  #time(typeUrl: string): { sentAt?: number; answeredAt?: number } {
    const known = this.#times.get(typeUrl);
    if (known !== undefined) return known;
    const fresh = {};
    this.#times.set(typeUrl, fresh);
    return fresh;
  }
}

function stateOf(status: {
  nonceSent: string | undefined;
  nonceAcked: string | undefined;
  nack: string | undefined;
}): TypeSyncState['state'] {
  if (status.nonceSent === undefined) return 'idle';
  if (status.nack !== undefined) return 'refused';
  return status.nonceSent === status.nonceAcked ? 'synced' : 'waiting';
}
