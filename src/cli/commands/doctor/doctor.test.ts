import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programCommand } from '#lab/program.ts';
import { diagnosis, fine, wrong } from '../../doctor/finding.ts';
import type { DoctorAnswer } from './doctor.ts';
import { doctorText } from './text.ts';

const plain = (_colour: string, text: string) => text;

function tulle(args: string[], env: Record<string, string> = {}) {
  const words = [...programCommand(), 'doctor', ...args];
  const child = Bun.spawnSync(words, { env: { ...process.env, KUBECONFIG: '', ...env } });
  return {
    status: child.exitCode,
    stdout: child.stdout.toString(),
    stderr: child.stderr.toString(),
  };
}

test('doctorText aligns findings, puts remedies below, and ends with the answer', () => {
  const bad = { message: 'nft is missing', remedy: 'apt-get install nftables' };
  const answer: DoctorAnswer = {
    machine: diagnosis([fine('kernel', 'Linux 6.1'), wrong('programs', 'error', bad)]),
    cluster: { server: 'https://k', ...diagnosis([fine('version', 'v1.34')]) },
  };
  expect(doctorText(answer, plain)).toBe(`this machine, for the lab
  ok       kernel    Linux 6.1
  error    programs  nft is missing
                     try: apt-get install nftables
the lab cannot run here: 1 error

the cluster at https://k
  ok       version  v1.34
Tulle can run on it

`);
});

describe('tulle doctor', () => {
  test('machine: looks at this one, and its status is its answer', () => {
    const { status, stdout } = tulle(['machine', '-o', 'json']);
    const { machine, cluster } = JSON.parse(stdout) as DoctorAnswer;
    expect(cluster).toBeUndefined();
    expect(status).toBe(machine?.canRun === true ? 0 : 1);
    const checks = machine?.findings.map(({ check }) => check) ?? [];
    expect(checks).toContain('kernel');
    expect(checks).toContain('memory');
    for (const { level, remedy } of machine?.findings ?? [])
      expect(remedy === undefined).toBe(level === 'ok');
  });

  test('cluster: one that does not answer is a finding with the address', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-doctor-'));
    try {
      const server = 'http://127.0.0.1:1';
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server } }],
        users: [{ name: 'u', user: {} }],
      };
      const path = join(folder, 'config');
      writeFileSync(path, JSON.stringify(config));
      const { status, stdout } = tulle(['cluster', '-o', 'json'], { KUBECONFIG: path });
      expect(status).toBe(1);
      const { cluster } = JSON.parse(stdout) as DoctorAnswer;
      expect(cluster).toMatchObject({ server, canRun: false });
      expect(cluster?.findings.map(({ check }) => check)).toEqual(['server']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('refuses what it cannot look at', () => {
    const { status, stderr } = tulle(['moon']);
    expect(status).toBe(2);
    expect(stderr).toContain('machine, cluster');
  });
});
