/** Who is read when, on a clock and with turns that the test makes itself. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { LARGE_READ_BYTES, SHARE_DEBT_MAX_MS, SHARE_TURN_MS } from '../limits.ts';
import { FairLoop, type Holdable, type LoopShare } from './fair-loop.ts';

let clock: FakeClock;
let deferred: (() => void)[];
let loop: FairLoop;
let noisy: LoopShare;
let quiet: LoopShare;

beforeEach(() => {
  clock = new FakeClock();
  deferred = [];
  loop = new FairLoop({ clock, defer: (callback) => void deferred.push(callback) });
  noisy = loop.share();
  quiet = loop.share();
});

class Socket implements Holdable {
  held = false;
  releases = 0;
  hold(): void {
    this.held = true;
  }
  release(): void {
    this.held = false;
    this.releases += 1;
  }
}

/** An event whose handler takes this long. */
function event(share: LoopShare, what: Holdable, { bytes = 100, ms = 0.01 } = {}): void {
  const startedAt = share.now();
  clock.advance(ms);
  share.took(what, bytes, startedAt);
}

function nextTurn(): void {
  for (const callback of deferred.splice(0)) callback();
}

const LARGE = { bytes: LARGE_READ_BYTES, ms: SHARE_TURN_MS * 4 };

describe('LoopShare', () => {
  test('a large read in debt is held for as many turns as it owes, while others are active', () => {
    const bulk = new Socket();
    event(noisy, bulk, LARGE);
    let turns = 0;
    while (bulk.held) {
      event(quiet, new Socket());
      nextTurn();
      turns += 1;
    }
    expect(turns).toBe(4);
    expect(bulk.releases).toBe(1);
    expect(deferred).toEqual([]);
  });

  test('when nobody else was active in a turn the debt is forgotten', () => {
    const bulk = new Socket();
    event(noisy, bulk, LARGE);
    expect(bulk.held).toBe(true);
    nextTurn();
    expect(bulk.held).toBe(false);
  });

  test('writing what waited is paid for by the next read', () => {
    const bulk = new Socket();
    event(quiet, new Socket());
    const startedAt = noisy.now();
    clock.advance(LARGE.ms);
    noisy.wrote(startedAt);
    event(noisy, bulk);
    let turns = 0;
    for (; bulk.held; turns += 1) {
      event(quiet, new Socket());
      nextTurn();
    }
    expect(turns).toBe(4);
  });

  test('two busy shares do not wait for each other', () => {
    const [one, other] = [new Socket(), new Socket()];
    event(noisy, one, LARGE);
    event(quiet, other, LARGE);
    nextTurn();
    nextTurn();
    expect([one.held, other.held]).toEqual([false, false]);
  });

  test('many small reads are held only while others have been active lately', () => {
    const sockets = Array.from({ length: 40 }, () => new Socket());
    for (const socket of sockets) event(noisy, socket);
    expect(sockets.some(({ held }) => held)).toBe(false);
    event(quiet, new Socket());
    for (const socket of sockets) event(noisy, socket);
    expect(sockets.filter(({ held }) => held).length).toBeGreaterThan(0);
  });

  test('held sockets are released in order, as many in a turn as its time is expected to last for', () => {
    event(quiet, new Socket());
    const sockets = Array.from({ length: 60 }, () => new Socket());
    for (const socket of sockets) event(noisy, socket);
    const held = sockets.filter((socket) => socket.held);
    let turns = 0;
    for (let released = 0; released < held.length; turns += 1) {
      event(quiet, new Socket());
      nextTurn();
      const now = held.filter((socket) => !socket.held).length;
      expect(held.slice(0, now).every((socket) => !socket.held)).toBe(true);
      expect((now - released) * 0.01).toBeLessThanOrEqual(SHARE_TURN_MS + 0.011);
      released = now;
    }
    expect(turns).toBeGreaterThan(2);
  });

  test('no debt is larger than SHARE_DEBT_MAX_MS', () => {
    const bulk = new Socket();
    event(noisy, bulk, { bytes: LARGE_READ_BYTES, ms: 10_000 });
    let turns = 0;
    for (; bulk.held; turns += 1) {
      event(quiet, new Socket());
      nextTurn();
    }
    expect(turns).toBeLessThanOrEqual(Math.ceil(SHARE_DEBT_MAX_MS / SHARE_TURN_MS) + 1);
  });

  test('new work beyond the turn waits, begins once, in order, and is paid for when it begins', () => {
    event(quiet, new Socket());
    const newcomers = Array.from({ length: 20 }, () => new Socket());
    const begun = newcomers.filter((socket) => noisy.admits(socket, SHARE_TURN_MS / 2));
    expect(begun).toEqual(newcomers.slice(0, 2));
    for (let turns = 0; newcomers.some(({ held }) => held); turns += 1) {
      event(quiet, new Socket());
      nextTurn();
      const released = newcomers.filter(({ releases }) => releases > 0).length;
      expect(released).toBeLessThanOrEqual((turns + 1) * 2);
    }
    expect(newcomers.slice(2).every(({ releases }) => releases === 1)).toBe(true);
  });

  test('without a second share nothing is measured or refused', () => {
    quiet.close();
    quiet.close();
    expect(noisy.alone).toBe(true);
    const newcomers = Array.from({ length: 100 }, () => new Socket());
    expect(newcomers.every((socket) => noisy.admits(socket, SHARE_TURN_MS))).toBe(true);
  });
});
