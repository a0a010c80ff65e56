import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryEnvironment, ROLES_WITH_MEMORY } from './memory-environment.ts';

const LAUNCHER = readFileSync(join(import.meta.dir, '../../tulle'), 'utf8');

/** `"role node") export NAME="${NAME:-VALUE}" … ;;` of the launcher's case. */
function launcherSettings(role: string): [string, string][] {
  const branch = LAUNCHER.split(';;').find((each) => each.includes(`"role ${role}"`)) ?? '';
  return [...branch.matchAll(/export (\w+)="\$\{\1:-([^}]+)\}"/g)].map(([, name, value]) => [
    name,
    value,
  ]);
}

describe('memoryEnvironment', () => {
  test.each(ROLES_WITH_MEMORY)('says for %s what the launcher sets', (role) => {
    const given = memoryEnvironment(role).map(({ name, value }) => [name, value]);
    expect(given.length).toBeGreaterThan(0);
    expect(launcherSettings(role)).toEqual(given as [string, string][]);
  });

  test('the launcher sets nothing for a role that is not in the table', () => {
    const roles = [...LAUNCHER.matchAll(/"role (\w+)"/g)].map(([, role]) => role);
    expect(roles.toSorted()).toEqual(ROLES_WITH_MEMORY.toSorted());
  });
});
