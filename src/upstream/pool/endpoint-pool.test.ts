import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { MeshError } from '#base/errors.ts';
import type { ConnectionPoolPolicy } from '#model/route/route-table.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  type DialOutcome,
  EndpointPool,
  type LearnedProtocol,
  type PoolConnection,
} from './endpoint-pool.ts';

class ScriptedConnection implements PoolConnection {
  active = 0;
  closed = false;
  drained = false;
  onChange: () => void = () => undefined;
  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }

  get capacity(): number {
    return this.closed || this.drained ? 0 : this.limit - this.active;
  }

  finish(): void {
    this.active -= 1;
    if (this.drained && this.active === 0) this.closed = true;
    this.onChange();
  }

  drain(): void {
    this.drained = true;
    if (this.active === 0) this.break();
  }

  break(): void {
    this.closed = true;
    this.onChange();
  }
}

function setup(policy: Partial<ConnectionPoolPolicy> = {}, protocol: LearnedProtocol = 'h1') {
  const clock = new FakeClock();
  const dials: { protocol: LearnedProtocol; outcome: DialOutcome<ScriptedConnection> }[] = [];
  const learned: string[] = [];
  const share = {
    policy: {
      connectTimeoutMs: 1,
      idleTimeoutMs: 60_000,
      h2Upgrade: 'default',
      ...policy,
    } as const,
    connections: 0,
    pending: 0,
  };
  const pool = new EndpointPool<ScriptedConnection>(
    {
      clock,
      share,
      dial: (mode, outcome) => dials.push({ protocol: mode, outcome }),
      onLearned: (found) => learned.push(found),
    },
    protocol,
  );
  const log: string[] = [];
  const ask = (name: string) => {
    const waiter = {
      onConnection: (connection: ScriptedConnection, isReused: boolean) => {
        connection.active += 1;
        log.push(`${name} ${isReused ? 'reused' : 'fresh'}`);
      },
      onFail: (error: MeshError) => log.push(`${name} ${error.code}`),
    };
    pool.acquire(waiter);
    return waiter;
  };
  const ready = (limit = 1, index = dials.length - 1) => {
    const connection = new ScriptedConnection(limit);
    dials[index].outcome.onReady(connection);
    return connection;
  };
  return { clock, dials, learned, share, pool, log, ask, ready };
}

const refused = () =>
  new MeshError('NET_CONNECT_REFUSED', 'refused', { side: 'upstream', hint: 'h' });

describe('EndpointPool with h1 endpoints', () => {
  test('dials once for a waiter and reuses the connection afterwards', () => {
    const { dials, log, ask, ready, pool } = setup();
    ask('a');
    const connection = ready();
    connection.finish();
    ask('b');
    expect(log).toEqual(['a fresh', 'b reused']);
    expect(dials.length).toBe(1);
    expect(pool.connections).toBe(1);
  });

  test('a connection that closes while idle is not handed out', () => {
    const { dials, log, ask, ready, pool, share } = setup();
    ask('a');
    const connection = ready();
    connection.finish();
    connection.break();
    expect([pool.connections, share.connections]).toEqual([0, 0]);
    ask('b');
    expect(dials.length).toBe(2);
    ready();
    expect(log).toEqual(['a fresh', 'b fresh']);
  });

  test('waiters are served in order by whichever connection is free first', () => {
    const { dials, log, ask, ready } = setup();
    ask('a');
    const connection = ready();
    ask('b');
    expect(dials.length).toBe(2);
    connection.finish();
    expect(log).toEqual(['a fresh', 'b reused']);
    ready();
    ask('c');
    expect(log.at(-1)).toBe('c fresh');
  });

  test('maxConnections makes waiters queue, maxPendingRequests makes them fail with overflow', () => {
    const { dials, log, ask, ready, share } = setup({ maxConnections: 1, maxPendingRequests: 1 });
    ask('a');
    const connection = ready();
    ask('b');
    expect(dials.length).toBe(1);
    ask('c');
    expect(log).toEqual(['a fresh', 'c UPSTREAM_OVERFLOW']);
    connection.finish();
    expect(log.at(-1)).toBe('b reused');
    expect(share.pending).toBe(0);
  });

  test('maxRequestsPerConnection drains the connection after its last exchange', () => {
    const { ask, ready, pool } = setup({ maxRequestsPerConnection: 2 });
    ask('a');
    const connection = ready();
    connection.finish();
    ask('b');
    expect(connection.drained).toBe(true);
    connection.finish();
    expect(pool.connections).toBe(0);
  });

  test('idle connections close after idleTimeoutMs, busy ones stay', () => {
    const { clock, ask, ready, pool } = setup();
    ask('a');
    const busy = ready();
    ask('b');
    const idle = ready();
    clock.advance(30_000);
    idle.finish();
    clock.advance(59_999);
    pool.sweepIdle();
    expect(pool.connections).toBe(2);
    clock.advance(1);
    pool.sweepIdle();
    expect([busy.closed, idle.closed, pool.connections]).toEqual([false, true, 1]);
  });

  test('a failed dial fails its waiter, and counters return to zero', () => {
    const { dials, log, ask, share } = setup();
    ask('a');
    dials[0].outcome.onFail(refused());
    expect(log).toEqual(['a NET_CONNECT_REFUSED']);
    expect([share.connections, share.pending]).toEqual([0, 0]);
  });

  test('a dial that fails before it returns is made once for its waiter, not for ever', () => {
    const clock = new FakeClock();
    const policy = { connectTimeoutMs: 1, idleTimeoutMs: 1, h2Upgrade: 'default' } as const;
    const share = { policy, connections: 0, pending: 0 };
    let dials = 0;
    const dial = (_protocol: LearnedProtocol, outcome: DialOutcome<ScriptedConnection>) => {
      dials += 1;
      if (dials > 3) throw new Error('dialled again without a waiter');
      outcome.onFail(refused());
    };
    const pool = new EndpointPool({ clock, share, dial, onLearned: () => undefined }, 'h1');
    let failures = 0;
    const onFail = () => {
      failures += 1;
    };
    pool.acquire({ onConnection: () => undefined, onFail });
    expect([dials, failures, share.connections, share.pending]).toEqual([1, 1, 0, 0]);
  });

  test('a cancelled waiter gets nothing; the connection waits for the next', () => {
    const { log, ask, ready, pool, share } = setup();
    pool.cancel(ask('a'));
    expect(share.pending).toBe(0);
    ready();
    ask('b');
    expect(log).toEqual(['b fresh']);
  });

  test('close sends waiters elsewhere and lets running exchanges finish', () => {
    const { log, ask, ready, pool, share } = setup();
    ask('a');
    const connection = ready();
    ask('b');
    pool.close();
    expect(log).toEqual(['a fresh', 'b UPSTREAM_ENDPOINT_GONE']);
    expect(connection.closed).toBe(false);
    connection.finish();
    const late = ready();
    expect([late.closed, share.connections]).toEqual([true, 0]);
  });
});

describe('EndpointPool with h2 and unknown endpoints', () => {
  test('one h2 connection serves all waiters', () => {
    const { dials, log, ask, ready } = setup({}, 'h2');
    for (const name of ['a', 'b', 'c']) ask(name);
    expect(dials.length).toBe(1);
    ready(100);
    expect(log).toEqual(['a fresh', 'b reused', 'c reused']);
  });

  test('unknown: one probe; h1 is learned once and every waiter then gets its own connection', () => {
    const { dials, learned, log, ask, ready, pool } = setup({}, 'unknown');
    ask('a');
    ask('b');
    expect(dials.map((dial) => dial.protocol)).toEqual(['unknown']);
    dials[0].outcome.onSpeaksH1Only();
    expect(dials.map((dial) => dial.protocol)).toEqual(['unknown', 'h1', 'h1']);
    ready(1, 1);
    ready(1, 2);
    expect(log).toEqual(['a fresh', 'b fresh']);
    expect([learned, pool.protocol]).toEqual([['h1'], 'h1']);
  });

  test('unknown: h2 is learned from a probe that succeeds', () => {
    const { learned, log, ask, ready, pool } = setup({}, 'unknown');
    ask('a');
    ready(100);
    expect([learned, pool.protocol, log]).toEqual([['h2'], 'h2', ['a fresh']]);
  });

  test('a failed probe fails everyone and learns nothing', () => {
    const { dials, learned, log, ask, pool } = setup({}, 'unknown');
    ask('a');
    ask('b');
    dials[0].outcome.onFail(refused());
    expect(log).toEqual(['a NET_CONNECT_REFUSED', 'b NET_CONNECT_REFUSED']);
    expect([learned, pool.protocol]).toEqual([[], 'unknown']);
  });
});

describe('EndpointPool limits', () => {
  test('maxConcurrentStreams: the next stream gets another connection, and a place that is free again', () => {
    const { dials, log, ask, ready, pool } = setup({ maxConcurrentStreams: 2 }, 'h2');
    for (const name of ['a', 'b', 'c']) ask(name);
    const first = ready(100);
    expect([log, dials.length]).toEqual([['a fresh', 'b reused'], 2]);
    ready(100);
    expect([log.length, pool.connections]).toEqual([3, 2]);
    first.finish();
    ask('d');
    expect([first.active + 1, dials.length]).toEqual([3, 2]);
  });

  test('maxConnectionDuration: an old connection takes no more, what runs on it finishes', () => {
    const { clock, dials, ask, ready, pool, share } = setup(
      { maxConnectionDurationMs: 10_000 },
      'h2',
    );
    ask('a');
    const old = ready(100);
    clock.advance(10_000);
    pool.sweepIdle();
    expect([old.drained, old.active]).toEqual([true, 1]);
    ask('b');
    expect(dials).toHaveLength(2);
    ready(100);
    old.finish();
    expect([pool.connections, share.connections]).toEqual([1, 1]);
  });

  test('an idle timeout of 0 is none', () => {
    const { clock, ask, ready, pool } = setup({ idleTimeoutMs: 0 });
    ask('a');
    ready().finish();
    clock.advance(86_400_000);
    pool.sweepIdle();
    expect(pool.connections).toBe(1);
  });

  test('a connection that takes no more (GOAWAY, Connection: close) is passed over at once', () => {
    const { dials, log, ask, ready } = setup({}, 'h2');
    ask('a');
    ready(100).drain();
    ask('b');
    expect([log, dials.length]).toEqual([['a fresh'], 2]);
    ready(100);
    expect(log).toEqual(['a fresh', 'b fresh']);
  });
});

describe('EndpointPool under churn', () => {
  type Step =
    | { readonly do: 'ask' | 'dialled' | 'refused' | 'finish' | 'drain' | 'break' | 'cancel' }
    | { readonly do: 'pass'; readonly ms: number };
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.constantFrom('ask', 'dialled', 'finish').map((name) => ({ do: name })),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom('refused', 'drain', 'break', 'cancel')
        .map((name) => ({ do: name })),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 70_000 }).map((ms) => ({ do: 'pass' as const, ms })),
    },
  ) as fc.Arbitrary<Step>;
  const policies = fc.record({
    maxConnections: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    maxPendingRequests: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    maxRequestsPerConnection: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    maxConcurrentStreams: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    maxConnectionDurationMs: fc.option(fc.constant(30_000), { nil: undefined }),
  });

  test('every waiter gets one answer, limits hold, and nothing is left behind', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        policies,
        fc.constantFrom<LearnedProtocol>('h1', 'h2'),
        (steps, policy, protocol) => {
          const rig = setup(policy, protocol);
          const { pool, share, dials, clock, log } = rig;
          const open: ScriptedConnection[] = [];
          const waiting = new Map<string, ReturnType<typeof rig.ask>>();
          let asked = 0;
          let cancelled = 0;
          let settled = 0;
          const nextDial = () => (settled < dials.length ? dials[settled++] : undefined);
          const settle = () => {
            for (const line of log.splice(0)) waiting.delete(line.split(' ')[0]);
          };
          let answers = 0;
          const act = (what: Step) => {
            const live = open.filter((each) => !each.closed);
            switch (what.do) {
              case 'ask':
                asked += 1;
                waiting.set(`w${asked}`, rig.ask(`w${asked}`));
                break;
              case 'dialled': {
                const dial = nextDial();
                if (dial === undefined) break;
                const connection = new ScriptedConnection(protocol === 'h1' ? 1 : 100);
                open.push(connection);
                dial.outcome.onReady(connection);
                break;
              }
              case 'refused':
                nextDial()?.outcome.onFail(refused());
                break;
              case 'finish':
                live.find(({ active }) => active > 0)?.finish();
                break;
              case 'drain':
                live[0]?.drain();
                break;
              case 'break':
                live[0]?.break();
                break;
              case 'cancel': {
                const [first] = waiting;
                if (first === undefined) break;
                pool.cancel(first[1]);
                waiting.delete(first[0]);
                cancelled += 1;
                break;
              }
              case 'pass':
                clock.advance(what.ms);
                pool.sweepIdle();
            }
            answers += log.length;
            settle();
            expect(share.pending).toBe(waiting.size);
            expect(pool.connections).toBe(open.filter((each) => !each.closed).length);
            if (policy.maxConnections !== undefined)
              expect(share.connections).toBeLessThanOrEqual(policy.maxConnections);
            if (policy.maxPendingRequests !== undefined)
              expect(waiting.size).toBeLessThanOrEqual(policy.maxPendingRequests);
            for (const each of open)
              if (policy.maxConcurrentStreams !== undefined)
                expect(each.active).toBeLessThanOrEqual(policy.maxConcurrentStreams);
          };
          for (const each of steps) act(each);
          // Everything settles: dials come about, exchanges end.
          for (
            let turn = 0;
            turn < 2_000 && (waiting.size > 0 || settled < dials.length);
            turn += 1
          ) {
            act({ do: 'dialled' });
            act({ do: 'finish' });
          }
          expect(answers + cancelled).toBe(asked);
          pool.close();
          for (const each of open) while (!each.closed && each.active > 0) each.finish();
          expect([pool.connections, share.connections, share.pending]).toEqual([0, 0, 0]);
        },
      ),
      { numRuns: 300 },
    );
  });
});
