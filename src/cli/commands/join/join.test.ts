import { describe, expect, test } from 'bun:test';
import { UsageError } from '../../output/report.ts';
import { type JoinFlags, joinOptions } from './join.ts';
import { programPath, unitText } from './unit.ts';

const flags = (extra: Partial<JoinFlags> = {}): JoinFlags => ({
  label: [],
  port: [],
  systemNamespace: 'istio-system',
  revision: 'default',
  clusterId: 'Kubernetes',
  stateDir: '/run/tulle/join',
  excludePort: [],
  dns: true,
  name: 'vm1',
  ...extra,
});

describe('joinOptions', () => {
  test.each<[string, Partial<JoinFlags>, object]>([
    ['labels', { label: ['app=a', 'v=1=2'] }, { labels: { app: 'a', v: '1=2' } }],
    ['ports', { port: ['http=8080'] }, { ports: { http: 8080 } }],
    ['excluded ports', { excludePort: ['22'] }, { excludedPorts: [22] }],
    [
      'a revision has its own Service',
      { revision: 'canary', systemNamespace: 'mesh' },
      { controlPlace: { namespace: 'mesh', name: 'istiod-canary' } },
    ],
    ['nothing', {}, { controlPlace: { namespace: 'istio-system', name: 'istiod' }, keep: false }],
  ])('%s', (_title, given, want) => {
    expect(joinOptions(flags(given), 'shop')).toMatchObject({ namespace: 'shop', ...want });
  });

  test.each<[string, Partial<JoinFlags>]>([
    ['--port http', { port: ['http'] }],
    ['--port http=70000', { port: ['http=70000'] }],
    ['--label =a', { label: ['=a'] }],
    ['--exclude-port ssh', { excludePort: ['ssh'] }],
    ['--interface nosuch0', { interface: 'nosuch0' }],
  ])('%s is wrong usage, and says what', (said, given) => {
    expect(() => joinOptions(flags(given), 'shop')).toThrow(UsageError);
    expect(() => joinOptions(flags(given), 'shop')).toThrow(said);
  });
});

describe('unitText', () => {
  const execStart = (args: readonly string[]) =>
    /^ExecStart=(.*)$/m.exec(unitText('/usr/local/bin/tulle', args))?.[1];
  test.each([
    [['join', '--print-unit', '-n', 'shop'], '/usr/local/bin/tulle join -n shop'],
    [['join', '--kubeconfig', '/etc/m.conf'], '/usr/local/bin/tulle join --kubeconfig /etc/m.conf'],
    [
      ['join', '--name', 'a b', '--label', 'x=50%'],
      '/usr/local/bin/tulle join --name "a b" --label x=50%%',
    ],
  ])('%j', (args, want) => expect(execStart(args)).toBe(want));

  test('a file is found from everywhere', () => {
    expect(execStart(['join', '--kubeconfig', 'm.conf'])).toEndWith(`${process.cwd()}/m.conf`);
  });

  test('programPath is the launcher of a checkout, or the program itself', () => {
    expect(programPath('/x/node_modules/bun/bin/bun.exe')).toEndWith('/tulle');
    expect(programPath('/usr/local/bin/tulle')).toBe('/usr/local/bin/tulle');
  });
});
