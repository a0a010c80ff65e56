import { describe, expect, test } from 'bun:test';
import type { Pod } from '#kube/client/kinds.ts';
import { ProbeState } from '#kube/probe/probe-state.ts';
import { CONTAINER_LOG_BYTES, RESTART_RESET_MS } from '../limits.ts';
import { buildEnvironment, type EnvironmentContext, expand } from './environment.ts';
import { resolveImage } from './images.ts';
import { ContainerLog } from './logs.ts';
import { planMounts } from './mounts.ts';
import { type ContainerView, podPhase } from './pod-status.ts';
import { restartDelayMs, restarts, restartsInARow } from './restart.ts';

describe('resolveImage', () => {
  const program = ['bun', 'main.ts'];
  const ROWS = [
    {
      title: 'the program with arguments',
      container: { image: 'tulle:1.0', args: ['role', 'node'] },
      want: ['bun', 'main.ts', 'role', 'node'],
    },
    {
      title: 'a sample',
      container: { image: 'tulle/sample-http' },
      want: ['bun', 'main.ts', 'role', 'sample', 'http'],
    },
    {
      title: 'a command of the machine',
      container: { image: 'host', command: ['sleep'], args: ['1'] },
      want: ['sleep', '1'],
    },
    {
      title: 'a command in place of the entrypoint',
      container: { image: 'tulle', command: ['sh'] },
      want: ['sh'],
    },
  ];
  for (const row of ROWS)
    test(row.title, () => expect(resolveImage(row.container, program)).toEqual({ argv: row.want }));

  const REFUSED = [
    { container: { image: 'nginx:1.27' }, reason: 'ErrImagePull' },
    { container: { image: 'tulle/sample-none' }, reason: 'ErrImagePull' },
    { container: { image: 'host' }, reason: 'CreateContainerError' },
  ];
  for (const { container, reason } of REFUSED)
    test(`refuses ${container.image}`, () =>
      expect(resolveImage(container, program)).toMatchObject({ reason }));
});

describe('restarts', () => {
  test('back-off is immediate, then 1 s doubling to five minutes', () => {
    const delays = [0, 1, 2, 3, 9, 10, 50].map((count) => restartDelayMs(count, false));
    expect(delays).toEqual([0, 1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
  });

  test('a part of the mesh never waits longer than a second', () => {
    expect([0, 1, 2, 30].map((count) => restartDelayMs(count, true))).toEqual([
      0, 1_000, 1_000, 1_000,
    ]);
  });

  test('a long run clears the count, a short one does not', () => {
    expect(restartsInARow(4, RESTART_RESET_MS)).toBe(0);
    expect(restartsInARow(4, RESTART_RESET_MS - 1)).toBe(4);
  });

  test('the policy decides by the exit status', () => {
    const row = (policy: 'Always' | 'OnFailure' | 'Never') => [
      restarts(policy, 0),
      restarts(policy, 1),
    ];
    expect([row('Always'), row('OnFailure'), row('Never')]).toEqual([
      [true, true],
      [false, true],
      [false, false],
    ]);
  });
});

describe('ProbeState', () => {
  const ROWS = [
    { answers: 's', success: 1, failure: 3, want: 'success' },
    { answers: 's', success: 2, failure: 3, want: undefined },
    { answers: 'sff', success: 1, failure: 3, want: 'success' },
    { answers: 'sfff', success: 1, failure: 3, want: 'failure' },
    { answers: 'sffsff', success: 1, failure: 3, want: 'success' },
    { answers: 'fffs', success: 1, failure: 3, want: 'success' },
  ];
  for (const row of ROWS) {
    test(`${row.answers} with thresholds ${row.success} and ${row.failure}`, () => {
      const state = new ProbeState({
        successThreshold: row.success,
        failureThreshold: row.failure,
      });
      for (const letter of row.answers) state.record(letter === 's' ? 'success' : 'failure');
      expect(state.result).toBe(row.want as typeof state.result);
    });
  }
});

describe('podPhase', () => {
  const view = (
    state: ContainerView['state'],
    lastState?: ContainerView['state'],
  ): ContainerView => ({
    name: 'a',
    image: 'host',
    restartCount: 0,
    ready: false,
    started: false,
    state,
    lastState,
  });
  const running = view({ running: { startedAt: '' } });
  const ended = (exitCode: number) => view({ terminated: { exitCode } });
  const waiting = view({ waiting: { reason: 'ContainerCreating' } });
  const backOff = view(
    { waiting: { reason: 'CrashLoopBackOff' } },
    { terminated: { exitCode: 1 } },
  );
  const ROWS = [
    { containers: [running], policy: 'Always', want: 'Running' },
    { containers: [running, waiting], policy: 'Always', want: 'Pending' },
    { containers: [backOff], policy: 'Always', want: 'Running' },
    { containers: [ended(0)], policy: 'Never', want: 'Succeeded' },
    { containers: [ended(1), ended(0)], policy: 'Never', want: 'Failed' },
    { containers: [ended(0), running], policy: 'OnFailure', want: 'Running' },
  ] as const;
  for (const { containers, policy, want } of ROWS)
    test(`${want} (${policy})`, () =>
      expect(podPhase({ containers, restartPolicy: policy, initialized: true })).toBe(want));
});

describe('buildEnvironment', () => {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'shop', labels: { app: 'web' } },
    spec: { nodeName: 'node1', containers: [] },
  };
  const context: EnvironmentContext = {
    pod,
    podAddress: '198.18.1.2',
    nodeAddress: '198.18.255.11',
    base: { HOSTNAME: 'p' },
    configMap: (name) =>
      name === 'c'
        ? { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { k: 'v' } }
        : undefined,
    secret: () => undefined,
  };
  const container = (env: Parameters<typeof buildEnvironment>[0]['env']) => ({
    name: 'a',
    image: 'host',
    env,
  });
  const field = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });

  test('fields, keys and references', () => {
    const env = [
      field('IP', 'status.podIP'),
      field('NODE', 'spec.nodeName'),
      field('APP', "metadata.labels['app']"),
      { name: 'K', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
      { name: 'URL', value: 'http://$(IP)/$(NOPE)/$$(IP)' },
    ];
    expect(buildEnvironment(container(env), context)).toEqual({
      values: {
        HOSTNAME: 'p',
        IP: '198.18.1.2',
        NODE: 'node1',
        APP: 'web',
        K: 'v',
        URL: 'http://198.18.1.2/$(NOPE)/$(IP)',
      },
    });
  });

  test('a missing key is a problem unless it is optional', () => {
    const env = (optional: boolean) => [
      { name: 'K', valueFrom: { secretKeyRef: { name: 's', key: 'k', optional } } },
    ];
    expect(buildEnvironment(container(env(false)), context)).toEqual({
      problem: 'secret "s" has no key "k"',
    });
    expect(buildEnvironment(container(env(true)), context)).toEqual({ values: { HOSTNAME: 'p' } });
  });

  test('expand leaves inherited names alone', () =>
    expect(expand('$(constructor)', {})).toBe('$(constructor)'));
});

describe('planMounts', () => {
  const plan = (mountPath: string) =>
    planMounts({
      container: { name: 'a', image: 'host', volumeMounts: [{ name: 'v', mountPath }] },
      volumeDirectory: (name) => (name === 'v' ? '/run/tulle/pods/u/volumes/v' : undefined),
      resolvConf: '/r',
      hosts: '/h',
      kindOf: (path) =>
        path === '/etc/resolv.conf' ? 'file' : path === '/srv' ? 'directory' : undefined,
    });

  test('makes directories only below /run, where they are the lab’s own', () => {
    expect(plan('/var/run/secrets/x')).toMatchObject({
      fstab: expect.stringContaining(' /run/secrets/x none bind,x-mount.mkdir'),
    });
    expect(plan('/srv')).toMatchObject({ fstab: expect.stringContaining(' /srv none bind 0 0') });
    expect(plan('/data')).toMatchObject({ problem: expect.stringContaining('/data') });
  });
});

describe('ContainerLog', () => {
  test('joins halves of lines, follows, and ends with the rest', () => {
    const log = new ContainerLog(() => 5);
    const seen: (string | undefined)[] = [];
    log.follow((line) => seen.push(line?.text));
    log.append('stdout', 'one\ntw');
    log.append('stderr', 'err\n');
    log.append('stdout', 'o\nrest');
    log.end();
    expect(seen).toEqual(['one', 'err', 'two', 'rest', undefined]);
    expect(log.read({ tailLines: 2 }).map(({ text }) => text)).toEqual(['two', 'rest']);
  });

  test('keeps the newest within its bound', () => {
    const log = new ContainerLog(() => 0);
    for (let index = 0; index < 2_000; index++)
      log.append('stdout', `${index} ${'x'.repeat(1000)}\n`);
    const lines = log.read();
    expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(
      CONTAINER_LOG_BYTES,
    );
    expect(lines.at(-1)?.text.startsWith('1999 ')).toBe(true);
  });
});
