import { describe, expect, test } from 'bun:test';
import { judgeMachine, kernel, type MachineFacts } from './machine.ts';

const GOOD: MachineFacts = {
  system: 'linux',
  kernel: '6.1.0',
  architecture: 'x64',
  noTools: undefined,
  noNamespaces: undefined,
  noNetwork: undefined,
  port: { number: 20_001, takenBy: undefined },
  memoryMiB: 4_000,
  processors: 2,
  openFiles: 65_536,
  state: { directory: '/run/user/1/tulle-lab', freeMiB: 5_000 },
  hasKubectl: true,
};

describe('judgeMachine', () => {
  test('finds nothing wrong with a machine that has everything', () => {
    const { canRun, findings } = judgeMachine(GOOD);
    expect(canRun).toBe(true);
    expect(findings.filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(findings.length).toBe(11);
  });

  const refusal = { message: 'the lab needs nft', hint: 'apt-get install nftables' };
  const rows: {
    title: string;
    facts: Partial<MachineFacts>;
    check: string;
    canRun: boolean;
    remedy: string;
  }[] = [
    {
      title: 'another system',
      facts: { system: 'darwin' },
      check: 'system',
      canRun: false,
      remedy: 'use a Linux machine',
    },
    {
      title: 'an old kernel',
      facts: { kernel: '5.10.0' },
      check: 'kernel',
      canRun: false,
      remedy: 'upgrade the kernel',
    },
    {
      title: 'a kernel that migrates nothing',
      facts: { kernel: '5.13.2' },
      check: 'kernel',
      canRun: true,
      remedy: 'upgrade the kernel to 5.14 or newer',
    },
    {
      title: 'a processor that Bun is not made for',
      facts: { architecture: 's390x' },
      check: 'architecture',
      canRun: false,
      remedy: 'use another machine',
    },
    {
      title: 'no nft',
      facts: { noTools: refusal },
      check: 'programs',
      canRun: false,
      remedy: 'apt-get install nftables',
    },
    {
      title: 'no namespaces',
      facts: { noNamespaces: { message: 'the kernel forbids it', hint: 'sudo sysctl' } },
      check: 'namespaces',
      canRun: false,
      remedy: 'sudo sysctl',
    },
    {
      title: 'no bridge',
      facts: { noNetwork: 'Unknown device type' },
      check: 'network',
      canRun: false,
      remedy: 'modprobe -a veth bridge',
    },
    {
      title: 'a console port of somebody else',
      facts: { port: { number: 20_001, takenBy: 'other' } },
      check: 'port',
      canRun: true,
      remedy: '--console-port 0',
    },
    {
      title: 'little memory',
      facts: { memoryMiB: 300 },
      check: 'memory',
      canRun: true,
      remedy: '--nodes 1',
    },
    {
      title: 'one processor',
      facts: { processors: 1 },
      check: 'processors',
      canRun: true,
      remedy: 'two',
    },
    {
      title: 'few open files',
      facts: { openFiles: 1_024 },
      check: 'open files',
      canRun: true,
      remedy: 'ulimit -n 4096',
    },
    {
      title: 'a disk that is full',
      facts: { state: { directory: '/x', freeMiB: 3 } },
      check: 'disk',
      canRun: true,
      remedy: 'TULLE_HOME',
    },
    {
      title: 'a directory that may not be written',
      facts: { state: { directory: '/x', freeMiB: 0, failure: 'EACCES' } },
      check: 'disk',
      canRun: false,
      remedy: 'TULLE_HOME',
    },
  ];
  test.each(rows)('names $title, with what to do', ({ facts, check, canRun, remedy }) => {
    const answer = judgeMachine({ ...GOOD, ...facts });
    const found = answer.findings.filter(({ level }) => level !== 'ok');
    expect(found.map((finding) => finding.check)).toEqual([check]);
    expect(found[0].remedy).toContain(remedy);
    expect(answer.canRun).toBe(canRun);
  });

  test('does not judge what could not be tried', () => {
    const checks = judgeMachine({ ...GOOD, noTools: refusal }).findings.map(({ check }) => check);
    expect(checks).not.toContain('namespaces');
    expect(checks).not.toContain('network');
  });

  test('a running lab has its port to itself', () => {
    const { findings } = judgeMachine({ ...GOOD, port: { number: 20_001, takenBy: 'lab' } });
    expect(findings.find(({ check }) => check === 'port')).toMatchObject({ level: 'ok' });
  });

  test.each([
    ['5.4.0-150-generic', 'error'],
    ['5.13.19', 'warning'],
    ['5.14.0-427.el9.x86_64', 'ok'],
    ['6.18.44', 'ok'],
  ])('kernel %s: %s', (version, level) => expect(kernel(version).level as string).toBe(level));
});
