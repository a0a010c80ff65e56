import { describe, expect, test } from 'bun:test';
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
