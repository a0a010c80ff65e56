/**
 * The queries of one captured pod, whatever they came over: decided, then answered at once or passed on. Every query
 * ends with one reply but those that not even an id can be read from; what waits is counted against the pod's limit.
 */
import { isLoopback } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import { NAME_SERVER_PORT } from '#redirect/ports.ts';
import { RCODE, TYPE, TYPE_NAMES } from '#wire/dns/codes.ts';
import { bareRefusal, type QueryQuestion } from '#wire/dns/query.ts';
import { WORKLOAD_WAIT_MS } from '../limits.ts';
import type { Meter } from '../usage/meter.ts';
import type { PodIdentity } from '../workload/context.ts';
import { type DnsProtocol, encodeAnswer, encodeError } from './answer.ts';
import { type DnsVerdict, decideDns, screenQuery } from './decide.ts';
import type { DnsContext } from './dns-context.ts';
import type { LookupLabels, LookupResult } from './dns-metrics.ts';
import type { Exchange, Upstream } from './exchange.ts';
import { TcpExchange } from './tcp-exchange.ts';
import { UdpExchange } from './udp-exchange.ts';

export interface Asked {
  /** Whole; belongs to the caller until `handle` returns. */
  readonly query: Uint8Array;
  readonly protocol: DnsProtocol;
  /** The name server that the app believes it talks to, where that can be known. Asked for when needed. */
  server(): SocketAddress | undefined;
}

export interface ReplyHandler {
  /** Once, but for transfers over TCP (often) and unreadable queries (never). */
  onReply(bytes: Uint8Array): void;
  /** Last, when a query that waited is over; not after `cancel`. */
  onDone(): void;
}

/** A query that waits. */
export interface Waiting {
  cancel(): void;
  pause(): void;
  resume(): void;
}

export class PodLookups {
  readonly #context: DnsContext;
  readonly #pod: PodIdentity;
  readonly #pending: Meter;
  readonly #log: Logger;

  constructor(context: DnsContext, pod: PodIdentity, pending: Meter) {
    this.#context = context;
    this.#pod = pod;
    this.#pending = pending;
    this.#log = context.log.child('dns');
  }

  /** Undefined when it is over on return. */
  handle(asked: Asked, handler: ReplyHandler): Waiting | undefined {
    const { metrics } = this.#context;
    const screened = screenQuery(asked.query);
    if (screened.kind === 'ignore') {
      metrics.lookup(undefined, 'refused');
      return undefined;
    }
    const client = this.#client();
    if (screened.kind === 'refuse') {
      this.#count({ asked, question: undefined, client }, undefined, 'refused', screened.reason);
      handler.onReply(bareRefusal(asked.query, screened.rcode));
      return undefined;
    }
    const question = screened.kind === 'question' ? screened.question : undefined;
    if (client !== undefined) return this.#decided({ asked, question, client }, handler);
    return this.#waitForClient({ asked: kept(asked), question, client: undefined }, handler);
  }

  #client(): Workload | undefined {
    return this.#context.state.current.servedBy(this.#pod);
  }

  /** Discovery may be a moment behind a pod that has just started. */
  #waitForClient(lookup: Lookup, handler: ReplyHandler): Waiting | undefined {
    const { state, clock } = this.#context;
    if (!this.#enter()) return this.#busy(lookup, handler);
    let over = false;
    let inner: Waiting | undefined;
    state.waitFor(
      (snapshot) => snapshot.servedBy(this.#pod),
      { clock, timeoutMs: WORKLOAD_WAIT_MS },
      (client) => {
        if (over) return;
        over = true;
        this.#leave();
        inner = this.#decided({ ...lookup, client }, handler);
        if (inner === undefined) handler.onDone();
      },
    );
    return {
      cancel: () => {
        if (!over) this.#leave();
        over = true;
        inner?.cancel();
      },
      pause: () => inner?.pause(),
      resume: () => inner?.resume(),
    };
  }

  #decided(lookup: Lookup, handler: ReplyHandler): Waiting | undefined {
    const verdict = this.#decide(lookup);
    if (verdict.kind === 'forward') return this.#forward(lookup, verdict, handler);
    const { query, protocol } = lookup.asked;
    if (verdict.kind === 'refuse') {
      this.#count(lookup, undefined, 'failed', verdict.reason);
      handler.onReply(encodeError(query, verdict.rcode));
    } else {
      const { service, addresses, reason } = verdict;
      const result = addresses.length > 0 ? 'answered' : 'no-records';
      this.#count(lookup, service.hostname, result, reason, addresses.length);
      handler.onReply(encodeAnswer(query, verdict, protocol));
    }
    return undefined;
  }

  #decide({ question, client }: Lookup): DnsVerdict {
    const { state, settings, random } = this.#context;
    if (question === undefined)
      return { kind: 'forward', service: undefined, reason: 'there is no question' };
    return decideDns(state.current, { client, question }, { settings, random });
  }

  #forward(
    lookup: Lookup,
    { service }: Extract<DnsVerdict, { kind: 'forward' }>,
    handler: ReplyHandler,
  ): Waiting | undefined {
    const { clock, metrics } = this.#context;
    if (!this.#enter()) return this.#busy(lookup, handler);
    const asked = kept(lookup.asked);
    const labels = labelsOf(lookup);
    metrics.request(labels);
    metrics.forwarded(labels);
    const startedAt = clock.now();
    let answers = 0;
    let over = false;
    let waited = false;
    const exchange = this.#exchange(asked, lookup.question, {
      onResponse: (bytes) => {
        answers += answerCount(bytes);
        handler.onReply(bytes);
      },
      onEnd: (failure) => {
        over = true;
        this.#leave();
        metrics.upstreamEnded(labels, {
          ms: clock.now() - startedAt,
          failed: failure !== undefined,
        });
        metrics.lookup(service?.hostname, failure === undefined ? 'forwarded' : 'failed');
        const result = failure === undefined ? 'forwarded' : `forwarding failed (${failure})`;
        this.#write(lookup, result, answers);
        if (failure !== undefined) handler.onReply(encodeError(asked.query, RCODE.serverFailure));
        if (waited) handler.onDone();
      },
    });
    if (over) return undefined;
    waited = true;
    return {
      cancel: () => {
        if (over) return;
        over = true;
        exchange.cancel();
        this.#leave();
      },
      pause: () => exchange.pause(),
      resume: () => exchange.resume(),
    };
  }

  #exchange(
    { query, protocol, server }: Asked,
    question: QueryQuestion | undefined,
    handler: ConstructorParameters<typeof UdpExchange>[2],
  ): Exchange {
    const servers = this.#serversFor(server());
    const transfer =
      protocol === 'tcp' && (question?.type === TYPE.AXFR || question?.type === TYPE.IXFR);
    const request = { query, servers, transfer };
    return protocol === 'udp'
      ? new UdpExchange(this.#context, request, handler).start()
      : new TcpExchange(this.#context, request, handler).start();
  }

  /**
   * The server that the app chose, in the app's network: another may know other names. Only where that is not known
   * those of this process, as ztunnel always does.
   */
  #serversFor(chosen: SocketAddress | undefined): Upstream[] {
    const namespace = this.#pod.netns;
    if (chosen !== undefined && !isLoopback(chosen.address)) return [{ ...chosen, namespace }];
    return this.#context.nameservers.current().map((address) => ({
      address,
      port: NAME_SERVER_PORT,
      // A resolver on this machine's loopback is not on the pod's.
      namespace: isLoopback(address) ? undefined : namespace,
    }));
  }

  #enter(): boolean {
    if (!this.#pending.enter()) return false;
    if (this.#context.pending.enter()) return true;
    this.#pending.leave();
    return false;
  }

  #leave(): void {
    this.#pending.leave();
    this.#context.pending.leave();
  }

  #busy(lookup: Lookup, handler: ReplyHandler): undefined {
    this.#count(lookup, undefined, 'failed', 'too many queries wait');
    handler.onReply(encodeError(lookup.asked.query, RCODE.serverFailure));
  }

  #count(
    lookup: Lookup,
    hostname: string | undefined,
    result: LookupResult,
    text: string,
    endpoints = 0,
  ): void {
    const { metrics } = this.#context;
    metrics.request(labelsOf(lookup));
    metrics.lookup(hostname, result);
    this.#write(lookup, text, endpoints);
  }

  /** ztunnel's fields (src/dns/server.rs access_log). */
  #write({ client, question }: Lookup, result: string, endpoints: number): void {
    this.#log.debug('lookup', {
      'src.workload': client?.name ?? this.#pod.name,
      'src.namespace': client?.namespace ?? this.#pod.namespace,
      query: question && (TYPE_NAMES[question.type] ?? `type${question.type}`).toUpperCase(),
      domain: question?.name,
      result,
      endpoints,
    });
  }
}

interface Lookup {
  readonly asked: Asked;
  readonly question: QueryQuestion | undefined;
  readonly client: Workload | undefined;
}

function labelsOf({ question, asked, client }: Lookup): LookupLabels {
  return { type: question?.type, protocol: asked.protocol, client };
}

/** What waits outlives the caller's bytes. */
function kept(asked: Asked): Asked {
  return { ...asked, query: new Uint8Array(asked.query) };
}

/** ANCOUNT, RFC 1035 §4.1.1. */
function answerCount(bytes: Uint8Array): number {
  return (bytes[6] << 8) | bytes[7];
}
