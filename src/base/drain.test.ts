import { describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  DRAIN_PARTS_PER_CHECK,
  Drain,
  type DrainOptions,
  type DrainPart,
  FORCE_SETTLE_MS,
  LAST_CALL_MS,
} from './drain.ts';
import { createLogger } from './log.ts';

class Part implements DrainPart {
  isTakenOver = false;
  isLeft = false;
  remaining = 0;
  forced: string | undefined;

  takenOver(): boolean {
    return this.isTakenOver;
  }
  leave(): void {
    this.isLeft = true;
  }
  force(reason: string): void {
    this.forced = reason;
  }
}

const DEADLINE_MS = 25_000;

function given(parts: Part[], options: Partial<DrainOptions> = {}) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger('node', { clock, write: (line) => lines.push(line) });
  const drain = new Drain(
    { clock, log, parts: () => parts },
    { deadlineMs: DEADLINE_MS, successor: true, ...options },
  );
  return { clock, drain, lines };
}

describe('Drain', () => {
  test('a part leaves when others took over, the next one when they took over there, too', async () => {
    const [first, second] = [new Part(), new Part()];
    const { clock, drain } = given([first, second]);
    drain.signal('SIGTERM');
    first.isTakenOver = true;
    clock.advance(1000);
    expect([first.isLeft, second.isLeft, drain.state]).toEqual([true, false, 'waiting']);
    second.isTakenOver = true;
    clock.advance(1000);
    expect([second.isLeft, drain.state]).toEqual([true, 'over']);
    await drain.over;
    expect(clock.pending).toBe(0);
  });

  test('one look does not make a successor: two that end together would leave to each other', async () => {
    const part = new Part();
    part.isTakenOver = true;
    const { clock, drain } = given([part]);
    drain.signal('SIGTERM');
    part.isTakenOver = false;
    clock.advance(1000);
    expect([part.isLeft, drain.state]).toEqual([false, 'waiting']);
  });

  test('what runs finishes before it is over', async () => {
    const part = new Part();
    part.isTakenOver = true;
    part.remaining = 2;
    const { clock, drain } = given([part]);
    drain.signal('SIGTERM');
    clock.advance(DEADLINE_MS - 1000);
    expect([part.isLeft, drain.state]).toEqual([true, 'finishing']);
    part.remaining = 0;
    clock.advance(200);
    expect([drain.state, part.forced]).toEqual(['over', undefined]);
  });

  test('without a successor it serves up to the last call, and says so', async () => {
    const part = new Part();
    part.remaining = 1;
    const { clock, drain, lines } = given([part]);
    drain.signal('SIGTERM');
    clock.advance(DEADLINE_MS - LAST_CALL_MS - 100);
    expect(part.isLeft).toBe(false);
    clock.advance(100);
    expect(part.isLeft).toBe(true);
    expect(lines.join('')).toContain('nobody took over');
  });

  test('a short deadline keeps half of itself for finishing', async () => {
    const part = new Part();
    const { clock, drain } = given([part], { deadlineMs: 4000 });
    drain.signal('SIGTERM');
    clock.advance(1900);
    expect(part.isLeft).toBe(false);
    clock.advance(100);
    expect(part.isLeft).toBe(true);
  });

  test('where no successor can come it leaves at once', async () => {
    const part = new Part();
    const { clock, drain } = given([part], { successor: false });
    drain.signal('SIGTERM');
    expect(part.isLeft).toBe(true);
    clock.advance(200);
    expect(drain.state).toBe('over');
  });

  test('the deadline cuts off what is left, with the reason', async () => {
    const part = new Part();
    part.isTakenOver = true;
    part.remaining = 3;
    const { clock, drain, lines } = given([part]);
    drain.signal('SIGTERM');
    clock.advance(DEADLINE_MS);
    expect(part.forced).toBe('the proxy is shutting down: deadline after SIGTERM');
    expect(drain.state).toBe('over');
    expect(lines.join('')).toContain('connections=3');
    clock.advance(FORCE_SETTLE_MS);
    expect(clock.pending).toBe(0);
  });

  test('a second signal does not wait', async () => {
    const part = new Part();
    part.remaining = 1;
    const { clock, drain } = given([part]);
    drain.signal('SIGTERM');
    drain.signal('SIGINT');
    clock.advance(FORCE_SETTLE_MS);
    await drain.over;
    expect(part.forced).toBe('the proxy is shutting down: SIGINT while draining');
  });

  test('a part that appears while it drains is drained, too', async () => {
    const parts = [new Part()];
    const { clock, drain } = given(parts);
    drain.signal('SIGTERM');
    const late = new Part();
    parts.push(late);
    for (const part of parts) part.isTakenOver = true;
    clock.advance(1000);
    expect([late.isLeft, drain.state]).toEqual([true, 'over']);
  });

  test('of many parts it asks a few at a time, and all of them in turn', () => {
    const asked = new Map<Part, number>();
    const parts = Array.from({ length: 3 * DRAIN_PARTS_PER_CHECK + 1 }, () => new Part());
    for (const part of parts) {
      part.takenOver = () => {
        asked.set(part, (asked.get(part) ?? 0) + 1);
        return part.isTakenOver;
      };
    }
    const { clock, drain } = given(parts);
    drain.signal('SIGTERM');
    expect(asked.size).toBe(DRAIN_PARTS_PER_CHECK);
    clock.advance(300);
    expect(asked.size).toBe(parts.length);
    for (const part of parts) part.isTakenOver = true;
    clock.advance(2000);
    expect([parts.every(({ isLeft }) => isLeft), drain.state]).toEqual([true, 'over']);
  });
});
