/** Every command of the CNI specification, what it answers, and when a pod must not start. */
import { describe, expect, test } from 'bun:test';
import { type AgentAnswer, type AgentQuestion, runPlugin } from './plugin.ts';
import { CNI_CODE, CNI_VERSIONS } from './protocol.ts';

const PREVIOUS = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/cni-1' }],
  ips: [{ address: '198.18.1.2/24', interface: 0 }],
  dns: {},
  unknown: { kept: [1, 2] },
};
const CONFIG = {
  cniVersion: '1.0.0',
  name: 'pods',
  type: 'tulle-cni',
  agentSocket: '/var/run/tulle/cni.sock',
  excludeNamespaces: ['istio-system', 'kube-system'],
  prevResult: PREVIOUS,
};
const ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/cni-1',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
  CNI_ARGS:
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1',
};
const CAPTURED: AgentAnswer = { status: 200, error: '', hint: '' };
const SILENT = new Error('connect ENOENT');

type Environment = Record<string, string | undefined>;

async function run(env: Environment, config: unknown, said: AgentAnswer | Error = CAPTURED) {
  const questions: AgentQuestion[] = [];
  const stdin = typeof config === 'string' ? config : JSON.stringify(config);
  const { exitStatus, stdout } = await runPlugin({ env, stdin }, async (question) => {
    questions.push(question);
    if (said instanceof Error) throw said;
    return said;
  });
  return { exitStatus, answer: stdout === '' ? undefined : JSON.parse(stdout), questions };
}

describe('ADD', () => {
  test('asks the agent with the pod and its namespace, and passes on what was made before', async () => {
    const { exitStatus, answer, questions } = await run(ENV, CONFIG);
    expect(questions).toEqual([
      {
        socket: CONFIG.agentSocket,
        path: '/cmdadd',
        pod: { namespace: 'shop', name: 'web-0', uid: 'u1' },
        netns: ENV.CNI_NETNS,
      },
    ]);
    expect([exitStatus, answer]).toEqual([0, PREVIOUS]);
  });

  test.each([...CNI_VERSIONS])(
    'answers in version %s when it is asked in that',
    async (cniVersion) => {
      const { exitStatus, answer } = await run(ENV, { ...CONFIG, cniVersion });
      expect([exitStatus, answer]).toEqual([0, { ...PREVIOUS, cniVersion }]);
    },
  );

  const unasked: { title: string; args: string }[] = [
    { title: 'an excluded namespace', args: 'K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=dns' },
    { title: 'what is no pod', args: 'IgnoreUnknown=1' },
    { title: 'nothing said', args: '' },
  ];
  test.each(unasked)('$title starts although no agent answers', async ({ args }) => {
    const { exitStatus, answer, questions } = await run({ ...ENV, CNI_ARGS: args }, CONFIG, SILENT);
    expect([exitStatus, answer, questions]).toEqual([0, PREVIOUS, []]);
  });

  test('fails the pod when the agent is silent, and says what to do', async () => {
    const { exitStatus, answer } = await run(ENV, CONFIG, SILENT);
    expect(exitStatus).toBe(1);
    expect(answer).toMatchObject({ cniVersion: '1.0.0', code: CNI_CODE.tryAgainLater });
    expect(answer.msg).toContain('shop/web-0');
    expect(answer.details).toContain('ENOENT');
    expect(answer.details).toContain('kubectl get pods -A -l app=ztunnel');
    expect(answer.ips).toBeUndefined();
  });

  test.each([400, 404, 500, 503])('fails the pod when the agent answers %d', async (status) => {
    const refusal = { status, error: 'no namespace', hint: 'look there' };
    const { exitStatus, answer } = await run(ENV, CONFIG, refusal);
    expect(exitStatus).toBe(1);
    expect(answer).toMatchObject({ code: CNI_CODE.tryAgainLater, details: 'look there' });
    expect(answer.msg).toContain('no namespace');
  });

  test('asks for a pod whose uid the runtime does not tell', async () => {
    const args = 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0';
    const { questions } = await run({ ...ENV, CNI_ARGS: args }, CONFIG);
    expect(questions[0].pod.uid).toBe('');
  });
});

describe('other commands', () => {
  test('CHECK asks whether the pod is captured still, and prints nothing', async () => {
    const done = await run({ ...ENV, CNI_COMMAND: 'CHECK' }, CONFIG);
    expect(done.questions[0].path).toBe('/cmdcheck');
    expect([done.exitStatus, done.answer]).toEqual([0, undefined]);
    const refusal = { status: 500, error: 'it is waiting', hint: '' };
    const failed = await run({ ...ENV, CNI_COMMAND: 'CHECK' }, CONFIG, refusal);
    expect(failed.exitStatus).toBe(1);
  });

  test.each(['DEL', 'GC', 'STATUS'])('%s needs no agent', async (command) => {
    const env = { ...ENV, CNI_COMMAND: command, CNI_NETNS: '' };
    const { exitStatus, answer, questions } = await run(env, CONFIG, SILENT);
    expect([exitStatus, answer, questions]).toEqual([0, undefined, []]);
  });

  test('DEL succeeds whatever the configuration: a pod must be able to go', async () => {
    expect((await run({ ...ENV, CNI_COMMAND: 'DEL' }, '{')).exitStatus).toBe(0);
  });

  test('VERSION tells the versions, in the one that was asked in', async () => {
    const { exitStatus, answer } = await run({ CNI_COMMAND: 'VERSION' }, { cniVersion: '0.4.0' });
    expect([exitStatus, answer]).toEqual([
      0,
      { cniVersion: '0.4.0', supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] },
    ]);
  });
});

describe('broken calls', () => {
  const { prevResult: _none, ...unchained } = CONFIG;
  const rows: { title: string; env?: Environment; config?: unknown; code: number; says: string }[] =
    [
      { title: 'no command', env: {}, code: 4, says: 'CNI_COMMAND' },
      { title: 'unknown command', env: { ...ENV, CNI_COMMAND: 'MOVE' }, code: 4, says: 'MOVE' },
      { title: 'no namespace', env: { ...ENV, CNI_NETNS: '' }, code: 4, says: 'CNI_NETNS' },
      { title: 'no container', env: { ...ENV, CNI_CONTAINERID: '' }, code: 4, says: 'CONTAINERID' },
      { title: 'CNI_ARGS', env: { ...ENV, CNI_ARGS: 'K8S_POD_NAME' }, code: 4, says: 'CNI_ARGS' },
      { title: 'no JSON', config: '{"cniVersion":', code: 6, says: 'cannot read' },
      { title: 'empty', config: '', code: 6, says: 'cannot read' },
      { title: 'a list', config: [], code: 6, says: 'no JSON object' },
      { title: 'null', config: null, code: 6, says: 'no JSON object' },
      { title: 'old', config: { ...CONFIG, cniVersion: '0.2.0' }, code: 1, says: '0.2.0' },
      { title: 'new', config: { ...CONFIG, cniVersion: '2.0.0' }, code: 1, says: '2.0.0' },
      { title: 'no version', config: { ...CONFIG, cniVersion: undefined }, code: 1, says: 'undef' },
      { title: 'no socket', config: { ...CONFIG, agentSocket: '' }, code: 7, says: 'agentSocket' },
      { title: 'a number', config: { ...CONFIG, agentSocket: 7 }, code: 7, says: 'agentSocket' },
      {
        title: 'namespaces that are no list',
        config: { ...CONFIG, excludeNamespaces: 'kube-system' },
        code: 7,
        says: 'excludeNamespaces',
      },
      { title: 'not chained', config: unchained, code: 7, says: 'prevResult' },
      { title: 'a bad result', config: { ...CONFIG, prevResult: [] }, code: 6, says: 'prevResult' },
    ];
  test.each(rows)('$title: code $code, and no pod starts', async ({ env, config, code, says }) => {
    const { exitStatus, answer, questions } = await run(
      env ?? ENV,
      config === undefined ? CONFIG : config,
    );
    expect(questions).toEqual([]);
    expect([exitStatus, answer.code]).toEqual([1, code]);
    expect(answer.msg).toContain(says);
    expect(answer.details).not.toBe('');
    expect(typeof answer.cniVersion).toBe('string');
  });
});
