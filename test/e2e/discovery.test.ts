/**
 * What a captured client can reach, and where it lands: every kind of destination that discovery knows, with real pods on
 * two nodes; and what becomes of traffic that a policy is about and nobody can judge. One lab for all of it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { generateKeyPairSync, sign } from 'node:crypto';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { eventually, missingFor, ROOT, startLab, type TestLab } from '#test/support/lab.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'unshare', 'kubectl', 'curl'], root: true });
const BUN = join(ROOT, 'node_modules/.bin/bun');
/** Speaks before it has heard anything, then answers once what it hears. */
const SERVER_FIRST = `Bun.listen({ hostname: '0.0.0.0', port: 9000, socket: {
  open: (s) => s.write('220 hello\\n'), data: (s, b) => s.end('heard ' + b) } })`;

interface PodList {
  items: { metadata: { name: string; namespace: string }; status: { podIP: string } }[];
}

/** Shell lines by name, and what they printed. */
type Answers = Record<string, string>;

describe.skipIf(skip !== undefined)('discovery', () => {
  let lab: TestLab;
  let ip: Record<string, string> = {};

  const apply = async (...objects: object[]) => {
    const result = await lab.apply(objects.map((each) => stringify(each)).join('---\n'));
    expect({ status: result.status, stderr: result.stderr }).toMatchObject({ status: 0 });
  };
  /** Runs all lines in one exec: a program start for each would be most of the time. */
  const inClient = async (lines: Answers, namespace = 'shop'): Promise<Answers> => {
    const script = Object.entries(lines)
      .map(([name, line]) => `echo "### ${name}"; ( ${line} ) 2>&1; echo`)
      .join('\n');
    const words = ['exec', '-n', namespace, 'client', '--', 'sh', '-c', script];
    const { stdout, stderr, status } = await lab.tulle(...words);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const parts = stdout.split(/^### /m).slice(1);
    return Object.fromEntries(
      parts.map((part) => {
        const end = part.indexOf('\n');
        return [part.slice(0, end), part.slice(end + 1).trim()];
      }),
    );
  };
  const curl = (url: string, flags = '') =>
    `curl -s -m 4 ${flags} -w ' %{http_code}/%{exitcode}' ${url}`;
  const many = (url: string) => `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ${curl(url)}; done`;
  /** Who answered, in order of the alphabet. */
  const answered = (text: string) =>
    [...new Set([...text.matchAll(/"version":"([^"]*)"/g)].map(([, version]) => version))].sort();
  const nodeLog = async () =>
    (await lab.kubectl('logs', '-n', 'istio-system', '-l', 'app=ztunnel', '--tail=4000')).stdout;

  beforeAll(async () => {
    lab = await startLab(['-f', join(import.meta.dir, 'discovery/app.yaml')]);
    await lab.kubectl('label', 'node', 'node1', 'topology.kubernetes.io/zone=a');
    await lab.kubectl('label', 'node', 'node2', 'topology.kubernetes.io/zone=b');
    const container = { name: 'app', image: 'host', command: [BUN, '-e', SERVER_FIRST] };
    await apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'first', namespace: 'shop', labels: { app: 'first' } },
      spec: { terminationGracePeriodSeconds: 0, containers: [container] },
    });
    const pods = ['client', 'db-0', 'db-1', 'far', 'on-node', 'first'].map((name) => `pod/${name}`);
    const ready = await lab.kubectl(
      'wait',
      '-n',
      'shop',
      '--for=condition=Ready',
      '--timeout=60s',
      ...pods,
    );
    expect(ready.status).toBe(0);
    await lab.kubectl(
      'wait',
      '-n',
      'legacy',
      '--for=condition=Ready',
      '--timeout=60s',
      'pod/outside',
    );
    const listed = JSON.parse(
      (await lab.kubectl('get', 'pods', '-A', '-o', 'json')).stdout,
    ) as PodList;
    ip = Object.fromEntries(
      listed.items.map(({ metadata, status }) => [
        `${metadata.namespace}/${metadata.name}`,
        status.podIP,
      ]),
    );
    const outside = ip['legacy/outside'];
    const entry = (name: string, spec: object, namespace = 'shop') => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name, namespace },
      spec: { ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }], ...spec },
    });
    const vm = (name: string, labels: object) => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name, namespace: 'shop' },
      spec: { address: outside, labels, serviceAccount: name },
    });
    await apply(
      entry('static', {
        hosts: ['static.example'],
        resolution: 'STATIC',
        endpoints: [{ address: outside }],
      }),
      entry('selected', {
        hosts: ['selected.example'],
        resolution: 'STATIC',
        workloadSelector: { labels: { vm: 'chosen' } },
      }),
      entry('none', {
        hosts: ['none.example'],
        addresses: [outside],
        ports: [{ number: 8080, name: 'http', protocol: 'HTTP' }],
      }),
      entry('wild', {
        hosts: ['*.wild.example'],
        addresses: ['198.18.200.0/28'],
        resolution: 'STATIC',
        endpoints: [{ address: outside }],
      }),
      entry(
        'hidden',
        {
          hosts: ['hidden.example'],
          addresses: ['198.18.201.1'],
          resolution: 'STATIC',
          endpoints: [{ address: outside }],
        },
        'other',
      ),
      entry('mesh-pod', {
        hosts: ['mesh-pod.example'],
        resolution: 'STATIC',
        endpoints: [{ address: ip['shop/far'] }],
      }),
      vm('chosen', { vm: 'chosen' }),
      vm('standalone', {}),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'by-hand', namespace: 'shop' },
        spec: { ports: [{ name: 'http', port: 80 }] },
      },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: 'by-hand',
          namespace: 'shop',
          labels: { 'kubernetes.io/service-name': 'by-hand' },
        },
        addressType: 'IPv4',
        endpoints: [{ addresses: [outside] }],
        ports: [{ name: 'http', port: 8080 }],
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'istio', namespace: 'istio-system' },
        data: { mesh: 'serviceEntryVisibility: { defaultVisibility: NAMESPACE }' },
      },
    );
  }, 90_000);

  afterAll(async () => {
    await lab?.down();
  });

  test('an entry without addresses gets some, and its name leads to its endpoints', async () => {
    await eventually('allocated addresses', async () => {
      const path = 'jsonpath={.items[*].status.addresses[*].value}';
      const { stdout } = await lab.kubectl('get', 'serviceentries', '-n', 'shop', '-o', path);
      return (
        stdout.split(' ').filter((each) => each.startsWith('240.240.')).length === 4 || undefined
      );
    });
    const answers = await eventually('the names', async () => {
      const found = await inClient({
        static: curl('http://static.example/'),
        selected: curl('http://selected.example/'),
        byName: curl('http://by-name.example/'),
        meshPod: curl('http://mesh-pod.example/'),
      });
      return Object.values(found).every((text) => text.endsWith('200/0')) ? found : undefined;
    });
    expect(answered(answers.static)).toEqual(['outside']);
    expect(answered(answers.selected)).toEqual(['outside']);
    expect(answered(answers.byName)).toEqual(['outside']);
    expect(answered(answers.meshPod)).toEqual(['far']);
  }, 120_000);

  test('each kind of destination is reached, or refused, as it should be', async () => {
    const outside = ip['legacy/outside'];
    const found = await inClient({
      podIp: curl(`http://${ip['shop/far']}:8080/`),
      headless: curl('http://db-0.db:7001/'),
      member: curl('http://db-1.db:7002/'),
      named: many('http://named/'),
      sameNode: many('http://same-node/'),
      sameZone: many('http://same-zone/'),
      close: many('http://close/'),
      anywhere: many('http://anywhere/'),
      local: curl('http://local-only/'),
      far: curl('http://far/'),
      published: curl('http://published/'),
      unready: curl('http://unready/'),
      onNode: curl('http://on-node/'),
      nodeAddress: curl(`http://${ip['shop/on-node']}:18080/`),
      alias: curl('http://alias/'),
      none: curl(`http://${outside}:8080/`),
      range: curl('http://198.18.200.5/'),
      rangeEnd: curl('http://198.18.200.16/', '--connect-timeout 1'),
      hidden: curl('http://198.18.201.1/', '--connect-timeout 1'),
      byHand: curl('http://by-hand/'),
      apiServer: `curl -sk -m 4 -o /dev/null -w '%{http_code}' https://kubernetes.default/version`,
    });
    const want: Record<string, string[]> = {
      podIp: ['far'],
      headless: ['db-0'],
      member: ['db-1'],
      named: ['db-0', 'db-1'],
      sameNode: ['db-0'],
      sameZone: ['db-0'],
      close: ['db-0'],
      anywhere: ['db-0', 'db-1'],
      far: ['far'],
      published: ['unready'],
      onNode: ['on-node'],
      nodeAddress: ['on-node'],
      alias: ['far'],
      none: ['outside'],
      range: ['outside'],
      byHand: ['outside'],
    };
    const landed = Object.keys(want).map((name) => [name, answered(found[name])]);
    expect(Object.fromEntries(landed)).toEqual(want);
    for (const name of ['local', 'unready', 'rangeEnd', 'hidden'])
      expect([name, found[name].slice(0, 4)]).toEqual([name, '000/']);
    expect(found.apiServer).toMatch(/^(200|401|403)$/);
    // The app sees the client's own address, through a tunnel as in plaintext.
    for (const name of ['far', 'onNode'])
      expect(found[name]).toContain(`"remoteAddress":"${ip['shop/client']}"`);
  }, 60_000);

  test('the namespace of an entry that is hidden from others sees it', async () => {
    const { hidden } = await inClient({ hidden: curl('http://198.18.201.1/') }, 'other');
    expect(answered(hidden)).toEqual(['outside']);
  });

  test('a server that speaks first is heard, whether or not the client has spoken', async () => {
    const talk = (said: string) => `${BUN} -e "
      const s = await Bun.connect({ hostname: '${ip['shop/first']}', port: 9000, socket: {
        open: (c) => { ${said} },
        data: (c, b) => { process.stdout.write(b); if (!c.said) { c.said = true; c.write('late'); } },
        close: () => process.exit(0) } })"`;
    const found = await inClient({
      silent: talk(''),
      eager: talk("c.said = true; c.write('early');"),
    });
    expect(found.silent).toBe('220 hello\nheard late');
    expect(found.eager).toBe('220 hello\nheard early');
  });

  test('tunnels carry what goes to captured pods, plaintext only what leaves the mesh', async () => {
    const log = await eventually('the lines', async () => {
      const text = await nodeLog();
      return text.includes(`${ip['shop/far']}:15008`) ? text : undefined;
    });
    const lines = log.split('\n').filter((line) => line.includes('direction="outbound"'));
    const to = (address: string) => lines.filter((line) => line.includes(`dst.addr=${address}`));
    expect(to(`${ip['shop/far']}:15008`).length).toBeGreaterThan(0);
    expect(to(`${ip['shop/far']}:8080`)).toEqual([]);
    expect(to(`${ip['shop/on-node']}:18080`).length).toBeGreaterThan(0);
    expect(to(`${ip['shop/on-node']}:15008`)).toEqual([]);
  });

  const policy = (name: string, spec: object, annotations = {}) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop', annotations },
    spec,
  });
  const hasCondition = (name: string, reason: string) => {
    const path = 'jsonpath={.status.conditions[?(@.type=="tulle.dev/Enforced")].reason}';
    return eventually(`the condition ${reason} of ${name}`, async () => {
      const words = ['get', 'authorizationpolicy', name, '-n', 'shop', '-o', path];
      return (await lab.kubectl(...words)).stdout === reason || undefined;
    });
  };
  const becomes = (what: string, url: string, want: string) =>
    eventually(what, async () => {
      const { answer } = await inClient({ answer: curl(url, '-o /dev/null') });
      return answer.startsWith(want) ? true : undefined;
    });

  test('a DENY by path with no waypoint on the way denies, closes what is open, names itself, and can be told not to', async () => {
    const rules = [{ to: [{ operation: { paths: ['/admin'] } }] }];
    const deny = { selector: { matchLabels: { only: 'node2' } }, action: 'DENY', rules };
    const url = 'http://far/';
    await becomes('the far pod', url, '200');
    const open = inClient({
      open: `curl -s -m 20 -w '%{http_code}/%{exitcode}' 'http://far/_sample/delay?ms=8000' -o /dev/null; ${curl(url, '-m 20 -o /dev/null')}`,
    });
    await eventually('the slow request', async () => {
      const { answer } = await inClient({ answer: curl(url, '-o /dev/null -m 1') });
      return answer.startsWith('000/28') ? true : undefined;
    });
    await apply(policy('no-admin', deny));
    // The request under way waits for its answer: it is cut off long before.
    expect((await open).open).toMatch(/(52|56)$/);
    await becomes('the denial', url, '000/');
    await hasCondition('no-admin', 'DeniesUnjudged');
    const log = await eventually('the log line', async () => {
      const text = await nodeLog();
      return text.includes('denied by: shop/no-admin') ? text : undefined;
    });
    expect(log).toContain(
      'connection closed due to policy change: explicitly denied by: shop/no-admin',
    );
    expect(log).toContain('tulle waypoint apply');
    const ignored = { 'tulle.dev/unenforced-policy': 'ignore' };
    await apply(policy('no-admin', deny, ignored));
    await eventually('the far pod again', async () => {
      const { answer } = await inClient({
        answer: `curl -s -m 1 -o /dev/null http://far/_sample/delay?ms=0; ${curl(url, '-o /dev/null')}`,
      });
      return answer.startsWith('200') ? true : undefined;
    });
    await hasCondition('no-admin', 'Ignored');
  }, 60_000);

  test('a policy for a service without a waypoint keeps its traffic, and only its', async () => {
    const targetRefs = [{ group: '', kind: 'Service', name: 'guarded' }];
    await becomes('the guarded service', 'http://guarded/', '200');
    await apply(
      policy('only-get', { targetRefs, rules: [{ to: [{ operation: { methods: ['GET'] } }] }] }),
    );
    await becomes('the refusal', 'http://guarded/', '000/');
    expect((await inClient({ far: curl('http://far/', '-o /dev/null') })).far).toMatch(/^200/);
    await hasCondition('only-get', 'RefusesUnjudged');
    const log = await eventually('the log line', async () => {
      const text = await nodeLog();
      return text.includes('authorizationpolicy shop/only-get needs a waypoint') ? text : undefined;
    });
    expect(log).toContain('tulle waypoint apply -n shop');
    await lab.kubectl('delete', 'authorizationpolicy', 'only-get', '-n', 'shop');
    await becomes('the guarded service again', 'http://guarded/', '200');
  }, 60_000);

  test('a dry run is logged and decides nothing', async () => {
    const spec = { selector: { matchLabels: { only: 'node2' } }, action: 'DENY', rules: [{}] };
    await apply(policy('trial', spec, { 'istio.io/dry-run': 'true' }));
    await eventually('the log line', async () => {
      const { far } = await inClient({ far: curl('http://far/', '-o /dev/null') });
      expect(far).toMatch(/^200/);
      return (await nodeLog()).includes('dry-run: deny policy match: shop/trial') || undefined;
    });
    await hasCondition('trial', 'DryRun');
  }, 120_000);

  test('a waypoint judges, refuses what it cannot judge by, names the policy, and lets the rest through', async () => {
    await lab.kubectl('delete', 'authorizationpolicy', '-n', 'shop', '--all');
    expect((await lab.tulle('waypoint', 'apply', '-n', 'shop')).status).toBe(0);
    const label = 'istio.io/use-waypoint=waypoint';
    await lab.kubectl('label', 'service', 'guarded', '-n', 'shop', label);
    const says = (what: string, status: string, text: string) =>
      eventually(what, async () => {
        const { answer } = await inClient({ answer: curl('http://guarded/') });
        return (answer.endsWith(`${status}/0`) && answer.includes(text)) || undefined;
      });
    await says('the waypoint', '200', '"version":"far"');
    const targetRefs = [{ group: '', kind: 'Service', name: 'guarded' }];
    await apply(policy('audit', { targetRefs, action: 'AUDIT', rules: [{}] }));
    await apply(
      policy('only-get', { targetRefs, rules: [{ to: [{ operation: { methods: ['GET'] } }] }] }),
    );
    const posts = (what: string, want: string) =>
      eventually(what, async () => {
        const { answer } = await inClient({ answer: curl('http://guarded/', '-X POST') });
        return answer.includes(want) || undefined;
      });
    await posts(
      'the refusal',
      'RBAC: access denied: allow policies exist, but none allowed: shop/only-get',
    );
    await says('the answer to a GET', '200', '"version":"far"');
    await hasCondition('only-get', 'Waypoints');
    const custom = { targetRefs, action: 'CUSTOM', provider: { name: 'opa' }, rules: [{}] };
    await apply(policy('ask-opa', custom));
    await says('the refusal of what nobody can ask', '403', 'AuthorizationPolicy shop/ask-opa');
    await hasCondition('ask-opa', 'RefusesUnjudged');
    await lab.kubectl('delete', 'authorizationpolicy', 'only-get', 'ask-opa', '-n', 'shop');
    await posts('the answer, audited', '"version":"far"');
    const rules = [{ to: [{ operation: { paths: ['/admin'] } }] }];
    const selector = { matchLabels: { only: 'node2' } };
    await apply(policy('no-admin', { selector, action: 'DENY', rules }));
    await says('the refusal of a destination', '403', 'AuthorizationPolicy shop/no-admin');
    await becomes('the denial past the waypoint', 'http://far/', '000/');
  }, 60_000);

  test('tokens are verified with keys that the control plane fetches from their issuer', async () => {
    await lab.kubectl('delete', 'authorizationpolicy', '-n', 'shop', '--all');
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const set = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] });
    const script = `Bun.serve({ hostname: '0.0.0.0', port: 9001, fetch: () => new Response('${set}') })`;
    const container = { name: 'app', image: 'host', command: [BUN, '-e', script] };
    const metadata = { name: 'issuer', namespace: 'shop' };
    await apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container] } });
    const address = await eventually('the issuer', async () => {
      const { stdout } = await lab.kubectl('get', 'pod', 'issuer', '-n', 'shop', '-o', 'json');
      return (JSON.parse(stdout) as { status?: { podIP?: string } }).status?.podIP;
    });
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'RS256', kid: 'k' })}.${part({ iss: 'me', sub: 'you' })}`;
    const signature = sign('sha256', Buffer.from(signed), privateKey).toString('base64url');
    const bearer = (token: string) => `-H 'authorization: Bearer ${token}'`;
    const says = (what: string, flags: string, status: string, text: string) =>
      eventually(what, async () => {
        const { answer } = await inClient({ answer: curl('http://guarded/', flags) });
        return (answer.endsWith(`${status}/0`) && answer.includes(text)) || undefined;
      });
    const targetRefs = [{ group: '', kind: 'Service', name: 'guarded' }];
    const jwtRules = [{ issuer: 'me', jwksUri: `http://${address}:9001/keys` }];
    const apiVersion = 'security.istio.io/v1';
    const jwt = { name: 'jwt', namespace: 'shop' };
    const spec = { targetRefs, jwtRules };
    await apply({ apiVersion, kind: 'RequestAuthentication', metadata: jwt, spec });
    const from = [{ source: { requestPrincipals: ['me/you'] } }];
    await apply(policy('only-you', { targetRefs, rules: [{ from }] }));
    await says('a good token', bearer(`${signed}.${signature}`), '200', '"version":"far"');
    await says('no token', '', '403', 'shop/only-you');
    const forged = bearer(`${signed}.${signature.replace(/^.{4}/, 'AAAA')}`);
    await says('a forged one', forged, '401', 'refused by RequestAuthentication shop/jwt');
  }, 60_000);
});
