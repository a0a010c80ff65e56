import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Holdings, SharedNames } from './holdings.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];

test('Holdings of several clients say what maps would say, and names that nobody holds are forgotten', () => {
  const step = fc.record({
    client: fc.constantFrom(0, 1, 2),
    act: fc.constantFrom('set', 'set', 'delete', 'clear'),
    name: fc.constantFrom(...NAMES),
    version: fc.constantFrom('', '1', '2'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const shared = new SharedNames();
      const clients = [0, 1, 2].map(() => ({
        held: new Holdings(shared),
        plain: new Map<string, string>(),
      }));
      for (const { client, act, name, version } of steps) {
        const { held, plain } = clients[client];
        if (act === 'set') {
          held.set(name, version);
          plain.set(name, version);
        } else if (act === 'delete') expect(held.delete(name)).toBe(plain.delete(name));
        else {
          held.clear();
          plain.clear();
        }
        for (const each of clients) {
          expect(each.held.size).toBe(each.plain.size);
          expect(each.held.names().sort()).toEqual([...each.plain.keys()].sort());
          for (const one of NAMES) expect(each.held.get(one)).toBe(each.plain.get(one));
        }
        expect(shared.size).toBe(new Set(clients.flatMap(({ plain }) => [...plain.keys()])).size);
      }
    }),
  );
});

test('SharedNames gives the number of a forgotten name to the next', () => {
  const shared = new SharedNames();
  const [first, second] = [shared.take('first'), shared.take('second')];
  shared.take('first');
  shared.release(first);
  expect(shared.find('first')).toBe(first);
  shared.release(first);
  expect(shared.find('first')).toBeUndefined();
  expect(shared.take('third')).toBe(first);
  expect(shared.name(first)).toBe('third');
  expect(shared.find('second')).toBe(second);
});
