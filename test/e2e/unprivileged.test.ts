/** The lab for an ordinary account, in a user namespace: the same demo, the same answers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { missingFor, run, startLab, type TestLab } from '#test/support/lab.ts';

const USER = 'tulle-e2e';
const skip =
  missingFor({ programs: ['ip', 'nft', 'unshare', 'setpriv', 'useradd', 'curl'], root: true }) !==
  undefined;

describe.skipIf(skip)('lab up --demo as an ordinary user', () => {
  let lab: TestLab;

  beforeAll(async () => {
    await run(['useradd', '--create-home', USER]);
    lab = await startLab(['--demo'], { asUser: USER });
  }, 90_000);

  afterAll(async () => {
    await lab?.down();
    await run(['userdel', '--remove', USER]);
  });

  test('the account has no privilege', async () => {
    const { stdout } = await run([
      'setpriv',
      '--reuid',
      USER,
      '--regid',
      USER,
      '--init-groups',
      'id',
      '-u',
    ]);
    expect(Number(stdout)).toBeGreaterThan(0);
  });

  test('everything is ready and the canary answers through the mesh', async () => {
    expect((await lab.tulle('lab', 'status')).status).toBe(0);
    const words = ['exec', '-n', 'shop', 'deploy/web', '--', 'curl', '-s', '-H', 'x-canary: true'];
    const { stdout } = await lab.tulle(...words, 'http://product-service/');
    expect(JSON.parse(stdout)).toMatchObject({ version: 'v2' });
  });

  test('the console answers on loopback through the relay', async () => {
    const response = await fetch(`${lab.consoleUrl}/api/v1/status`);
    expect(response.status).toBe(200);
  });
});
