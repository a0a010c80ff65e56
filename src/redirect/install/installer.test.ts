/** The installation on a node's folders: put there, kept there against others, and taken away without a trace. */
import { afterEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#base/log.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { INSTALL_REPAIR_GAP_MS } from '../limits.ts';
import { CniInstaller } from './installer.ts';

const ENTRY = {
  type: 'tulle-cni',
  agentSocket: '/var/run/tulle/cni.sock',
  excludeNamespaces: ['istio-system'],
} as const;
const LIST = '{"cniVersion": "0.4.0",   "name": "kc", "plugins": [{"type": "ptp"}]}';
const SINGLE = '{ "cniVersion": "0.4.0", "name": "kc", "type": "ptp" }\n\n';
const CONFLIST = '10-kc.conflist';

const open: { node: CniInstaller; root: string }[] = [];
afterEach(() => {
  for (const { node, root } of open.splice(0)) {
    node.stop();
    rmSync(root, { recursive: true, force: true });
  }
});

interface StartOptions {
  confName?: string;
  /** What there is instead of a folder for programs. */
  binFile?: string;
}

function start(files: Record<string, string>, { confName, binFile }: StartOptions = {}) {
  const root = mkdtempSync(join(tmpdir(), 'tulle-install-'));
  const [binDir, confDir, program] = ['bin', 'net.d', 'tulle'].map((name) => join(root, name));
  mkdirSync(confDir);
  if (binFile !== undefined) writeFileSync(binDir, binFile);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(confDir, name), text);
  writeFileSync(program, 'the program', { mode: 0o755 });
  const clock = new FakeClock();
  const repairs: string[] = [];
  const state = { ours: true };
  const node = new CniInstaller(
    {
      clock,
      log: silentLogger,
      isOurs: () => state.ours,
      onRepair: (what) => repairs.push(what),
    },
    { binDir, confDir, confName, program },
    ENTRY,
  );
  open.push({ node, root });
  const conf = (name: string) => join(confDir, name);
  const types = (name: string) =>
    JSON.parse(readFileSync(conf(name), 'utf8')).plugins.map(({ type }: { type: string }) => type);
  /** As if a second had passed: whatever the watcher does meanwhile is done as well. */
  const look = async () => {
    clock.advance(INSTALL_REPAIR_GAP_MS);
    await node.check();
    await node.check();
  };
  return { node, repairs, conf, types, look, binDir, confDir, program, state, clock };
}

describe('CniInstaller', () => {
  test('puts program and entry in place, and is not ready before', async () => {
    const { node, types, look, binDir, confDir, repairs } = start({ [CONFLIST]: LIST });
    expect(node.missing).toBeDefined();
    await look();
    expect(node.missing).toBeUndefined();
    expect(readFileSync(join(binDir, 'tulle-cni'), 'utf8')).toBe('the program');
    expect(statSync(join(binDir, 'tulle-cni')).mode & 0o777).toBe(0o755);
    expect(types(CONFLIST)).toEqual(['ptp', 'tulle-cni']);
    expect(readdirSync(confDir).filter((name) => name.includes('tmp'))).toEqual([]);
    expect(repairs).toEqual([]);
  });

  test('waits for a network plugin, and says that it does', async () => {
    const { node, conf, look, types, confDir } = start({ '00-broken.conflist': '{' });
    await look();
    expect(node.missing).toContain(confDir);
    expect(node.missing).toContain('00-broken.conflist');
    writeFileSync(conf(CONFLIST), LIST);
    await look();
    expect(node.missing).toBeUndefined();
    expect(types(CONFLIST)).toEqual(['ptp', 'tulle-cni']);
  });

  test('a single plugin’s file becomes a list, with the permissions it had', async () => {
    const { conf, look, types, confDir } = start({ '10-kc.conf': SINGLE });
    chmodSync(conf('10-kc.conf'), 0o640);
    await look();
    expect(readdirSync(confDir)).not.toContain('10-kc.conf');
    expect(types(CONFLIST)).toEqual(['ptp', 'tulle-cni']);
    expect([0o640, 0o644]).toContain(statSync(conf(CONFLIST)).mode & 0o777);
  });

  test('repairs what others rewrite, and counts it', async () => {
    const { conf, look, types, repairs } = start({ [CONFLIST]: LIST });
    await look();
    writeFileSync(conf(CONFLIST), LIST.replace('ptp', 'bridge'));
    await look();
    expect(types(CONFLIST)).toEqual(['bridge', 'tulle-cni']);
    expect(repairs).toEqual(['CNI configuration']);
  });

  test('follows a new first file', async () => {
    const { conf, look, types, repairs } = start({ [CONFLIST]: LIST });
    await look();
    writeFileSync(conf('05-other.conf'), SINGLE.replace('ptp', 'bridge'));
    await look();
    expect(types('05-other.conflist')).toEqual(['bridge', 'tulle-cni']);
    expect(repairs).toEqual(['CNI configuration']);
  });

  test('is not ready when the file is gone, and again when it is back', async () => {
    const { node, conf, look } = start({ [CONFLIST]: LIST });
    await look();
    rmSync(conf(CONFLIST));
    await look();
    expect(node.missing).toBeDefined();
    writeFileSync(conf(CONFLIST), LIST);
    await look();
    expect(node.missing).toBeUndefined();
  });

  test('puts back a program that was removed or replaced', async () => {
    const { look, binDir, repairs } = start({ [CONFLIST]: LIST });
    const path = join(binDir, 'tulle-cni');
    await look();
    rmSync(path);
    await look();
    writeFileSync(path, 'an impostor');
    await look();
    chmodSync(path, 0o600);
    await look();
    expect(readFileSync(path, 'utf8')).toBe('the program');
    expect(statSync(path).mode & 0o777).toBe(0o755);
    expect(repairs).toEqual(['CNI program', 'CNI program', 'CNI program']);
  });

  test('a program that is the same is not copied again', async () => {
    const { node, look, binDir, confDir, program } = start({ [CONFLIST]: LIST });
    await look();
    const { ino } = statSync(join(binDir, 'tulle-cni'));
    node.stop();
    const next = new CniInstaller(
      { clock: new FakeClock(), log: silentLogger, isOurs: () => true, onRepair: () => undefined },
      { binDir, confDir, confName: undefined, program },
      ENTRY,
    );
    await next.check();
    next.stop();
    expect(statSync(join(binDir, 'tulle-cni')).ino).toBe(ino);
  });

  test('leaves everything alone while another generation looks after the node', async () => {
    const { node, conf, look, state, types } = start({ [CONFLIST]: LIST });
    await look();
    state.ours = false;
    writeFileSync(conf(CONFLIST), LIST);
    await look();
    expect(types(CONFLIST)).toEqual(['ptp']);
    state.ours = true;
    await look();
    expect(types(CONFLIST)).toEqual(['ptp', 'tulle-cni']);
    node.stop();
    writeFileSync(conf(CONFLIST), LIST);
    await look();
    expect(types(CONFLIST)).toEqual(['ptp']);
  });

  test('only the named file gets the entry, also when it is a list by now', async () => {
    const files = { '00-first.conflist': LIST, '10-kc.conf': SINGLE };
    const { node, look, types } = start(files, { confName: '10-kc.conf' });
    await look();
    await look();
    expect(types('00-first.conflist')).toEqual(['ptp']);
    expect(types(CONFLIST)).toEqual(['ptp', 'tulle-cni']);
    expect(node.missing).toBeUndefined();
  });

  test('a folder that cannot be written is the reason why it is not ready', async () => {
    const { node, look } = start({ [CONFLIST]: LIST }, { binFile: 'no folder' });
    await look();
    expect(node.missing).toContain('cannot put the CNI plugin into');
  });

  test('agents that fight for the file are repaired once a second, not without end', async () => {
    const { node, conf, look, repairs } = start({ [CONFLIST]: LIST });
    await look();
    for (let turn = 0; turn < 20; turn += 1) {
      writeFileSync(conf(CONFLIST), LIST);
      await node.check();
    }
    expect(repairs.length).toBeLessThanOrEqual(1);
  });

  for (const [name, text] of Object.entries({ [CONFLIST]: LIST, '10-kc.conf': SINGLE })) {
    test(`uninstall gives back ${name} as it was, and leaves nothing`, async () => {
      const { node, conf, look, binDir, confDir } = start({ [name]: text });
      await look();
      await node.uninstall();
      expect(readdirSync(confDir)).toEqual([name]);
      expect(readFileSync(conf(name), 'utf8')).toBe(text);
      expect(readdirSync(binDir)).toEqual([]);
    });
  }

  test('uninstall takes the entry out of every file', async () => {
    const { node, conf, look, confDir } = start({ [CONFLIST]: LIST });
    await look();
    writeFileSync(conf('05-other.conflist'), LIST);
    await look();
    await node.uninstall();
    expect(readdirSync(confDir).sort()).toEqual(['05-other.conflist', CONFLIST]);
    expect(readFileSync(conf('05-other.conflist'), 'utf8')).toBe(LIST);
    expect(readFileSync(conf(CONFLIST), 'utf8')).toBe(LIST);
  });
});
