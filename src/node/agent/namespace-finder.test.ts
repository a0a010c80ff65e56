/** Which pod a process belongs to, and how its namespace is found through it. */
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '#test/support/fake-clock.ts';
import { NAMESPACE_SCAN_PERIOD_MS } from '../limits.ts';
import { NamespaceFinder, podUidIn } from './namespace-finder.ts';

const UID = '6a1bd5f2-28a2-4b6f-9c0e-0f1e2d3c4b5a';

describe('podUidIn', () => {
  const rows = [
    {
      title: 'cgroup v1, cgroupfs',
      text: `12:pids:/kubepods/burstable/pod${UID}/0a1b2c\n1:name=systemd:/kubepods/burstable/pod${UID}/0a1b2c\n`,
      want: UID,
    },
    {
      title: 'cgroup v2, systemd',
      text: `0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-0a1b.scope\n`,
      want: UID,
    },
    {
      title: 'cgroup v2, seen from another cgroup namespace',
      text: `0::/../../pod${UID}/0a1b2c\n`,
      want: UID,
    },
    {
      title: 'cgroup v2, systemd, guaranteed',
      text: `0::/kubepods.slice/kubepods-pod${UID.replaceAll('-', '_')}.slice/crio-0a1b.scope\n`,
      want: UID,
    },
    {
      title: 'a static pod',
      text: '0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/0a1b\n',
      want: '0123456789abcdef0123456789abcdef',
    },
    {
      title: 'a static pod, systemd',
      text: '0::/kubepods.slice/kubepods-pod0123456789abcdef0123456789abcdef.slice/x.scope\n',
      want: '0123456789abcdef0123456789abcdef',
    },
    { title: 'guaranteed', text: `0::/kubepods/pod${UID}/0a1b2c\n`, want: UID },
    { title: 'a service of the node', text: '0::/system.slice/sshd.service\n', want: undefined },
    {
      title: 'a uid that is cut',
      text: `0::/kubepods/pod${UID.slice(0, 20)}/x\n`,
      want: undefined,
    },
    { title: 'nothing', text: '', want: undefined },
  ];
  for (const { title, text, want } of rows) {
    test(title, () => expect(podUidIn(text)).toBe(want as string));
  }
});

describe('NamespaceFinder', () => {
  const root = mkdtempSync(join(tmpdir(), 'tulle-proc-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;

  function start() {
    count += 1;
    const procDir = join(root, `proc-${count}`);
    const netnsDir = join(root, `netns-${count}`);
    mkdirSync(netnsDir, { recursive: true });
    const process = (pid: string, uid?: string) => {
      mkdirSync(join(procDir, pid, 'ns'), { recursive: true });
      writeFileSync(join(procDir, pid, 'ns', 'net'), '');
      if (uid !== undefined)
        writeFileSync(join(procDir, pid, 'cgroup'), `0::/kubepods/pod${uid}/x\n`);
    };
    process('self');
    const clock = new FakeClock();
    const finder = new NamespaceFinder(clock, { netnsDir, procDir });
    return { clock, finder, process, procDir, netnsDir };
  }

  test('a namespace with the uid as its name is taken before any process', () => {
    const { finder, process, netnsDir } = start();
    process('10', UID);
    writeFileSync(join(netnsDir, UID), '');
    expect(finder.find(UID)).toBe(join(netnsDir, UID));
  });

  test('a process of the pod leads to it; those of others and of no pod do not', () => {
    const { finder, process, procDir } = start();
    process('9');
    process('10', UID.replace('6', '7'));
    process('11', UID);
    expect(finder.find(UID)).toBe(join(procDir, '11', 'ns', 'net'));
  });

  test('a namespace that the runtime names is found where it is from here', () => {
    const { finder, procDir, netnsDir } = start();
    const path = '/var/run/netns/cni-1';
    expect(finder.local(path)).toBe(path);
    const root = join(procDir, '1', 'root');
    mkdirSync(join(root, 'var/run/netns'), { recursive: true });
    writeFileSync(join(root, path), '');
    expect(finder.local(path)).toBe(join(root, path));
    writeFileSync(join(netnsDir, 'cni-1'), '');
    expect(finder.local(path)).toBe(join(netnsDir, 'cni-1'));
    // Not one of those that runtimes name: the same name elsewhere is another namespace.
    expect(finder.local('/proc/self/ns/cni-1')).toBe('/proc/self/ns/cni-1');
    // What is a namespace indeed comes before a file of the name.
    writeFileSync(join(netnsDir, 'net'), '');
    expect(finder.local('/proc/self/ns/net')).toBe('/proc/self/ns/net');
  });

  test('processes are walked through once a period, and again when one that was found has ended', () => {
    const { clock, finder, process, procDir } = start();
    expect(finder.find(UID)).toBeUndefined();
    process('12', UID);
    expect(finder.find(UID)).toBeUndefined();
    clock.advance(NAMESPACE_SCAN_PERIOD_MS);
    expect(finder.find(UID)).toBe(join(procDir, '12', 'ns', 'net'));
    rmSync(join(procDir, '12'), { recursive: true });
    process('13', UID);
    clock.advance(NAMESPACE_SCAN_PERIOD_MS);
    expect(finder.find(UID)).toBe(join(procDir, '13', 'ns', 'net'));
  });

  test('a process of another pod that got the number of one that was found is not taken for it', () => {
    const { clock, finder, process, procDir } = start();
    process('12', UID);
    expect(finder.find(UID)).toBe(join(procDir, '12', 'ns', 'net'));
    process('12', UID.replace('6', '7'));
    expect(finder.find(UID)).toBeUndefined();
    process('13', UID);
    clock.advance(NAMESPACE_SCAN_PERIOD_MS);
    expect(finder.find(UID)).toBe(join(procDir, '13', 'ns', 'net'));
  });
});
