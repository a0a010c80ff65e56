/**
 * The client end of mixed traffic, a program of its own: `load.ts HOST SECONDS [URL]`. Short requests over new and over kept connections,
 * a server that speaks first, one stream that lives all the time, and with a URL requests there. Says `running` when each kind
 * has had an answer, and at the end one line of JSON.
 */
import { Agent, request } from 'node:http';
import { connect } from 'node:net';

const [host = '', seconds = '', url] = process.argv.slice(2);
const TIMEOUT_MS = 15_000;
const PAUSE_MS = 5;
const STREAM_TICK_MS = 50;

export interface TrafficResult {
  /** By kind: how many went well, and the first failures in words. */
  kinds: Record<string, { ok: number; failed: number; failures: string[]; slowestMs: number }>;
}

/** Failures that are told; the rest is only counted. */
const FAILURES_TOLD_MAX = 20;

const result: TrafficResult = { kinds: {} };
const end = performance.now() + Number(seconds) * 1000;
let running = true;

function kindOf(name: string) {
  const kind = result.kinds[name] ?? { ok: 0, failed: 0, failures: [], slowestMs: 0 };
  result.kinds[name] = kind;
  return kind;
}

function failed(kind: ReturnType<typeof kindOf>, message: string): void {
  kind.failed++;
  if (kind.failures.length < FAILURES_TOLD_MAX) {
    kind.failures.push(`${new Date().toISOString()} ${message}`);
  }
}

/** Tries one after the other until the time is over. */
async function repeat(name: string, once: (index: number) => Promise<void>): Promise<void> {
  const kind = kindOf(name);
  for (let index = 0; performance.now() < end; index++) {
    const begin = performance.now();
    try {
      await once(index);
      kind.ok++;
    } catch (error) {
      failed(kind, (error as Error).message);
    }
    kind.slowestMs = Math.max(kind.slowestMs, Math.round(performance.now() - begin));
    await Bun.sleep(PAUSE_MS);
  }
}

function http(target: string, agent: Agent, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(target, { agent, method: 'POST', timeout: TIMEOUT_MS }, (answer) => {
      let text = '';
      answer.on('data', (bytes: Buffer) => {
        text += bytes.toString();
      });
      answer.on('error', reject);
      answer.on('end', () =>
        answer.statusCode === 200
          ? resolve(text)
          : reject(new Error(`${answer.statusCode} ${text}`)),
      );
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function echoed(agent: Agent, index: number): Promise<void> {
  const text = await http(`http://${host}:8080/`, agent, `request ${index}`);
  if (text !== `request ${index} answered`) throw new Error(`wrong answer: ${text}`);
}

function greeted(): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host, port: 8081, allowHalfOpen: true });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`timed out after "${text}"`)));
    socket.on('data', (bytes) => {
      text += bytes.toString();
      if (text === 'greetings\n') socket.end();
    });
    // Also when it ends without a word.
    socket.on('end', () => socket.end());
    socket.on('error', reject);
    socket.on('close', () =>
      text === 'greetings\nbye\n' ? resolve() : reject(new Error(`heard only "${text}"`)),
    );
  });
}

/** Counts both ways without a gap, then half-closes and hears how much arrived. */
function stream(): Promise<void> {
  const kind = kindOf('stream');
  return new Promise((resolve) => {
    let sent = 0;
    let heard = 0;
    let text = '';
    let last = '';
    const fail = (message: string) => {
      failed(kind, message);
      socket.destroy();
    };
    const socket = connect({ host, port: 8082, allowHalfOpen: true });
    const timer = setInterval(() => {
      if (running) socket.write(`${sent++}\n`);
      else {
        clearInterval(timer);
        socket.end();
      }
    }, STREAM_TICK_MS);
    socket.setTimeout(TIMEOUT_MS, () => fail('silent'));
    socket.on('data', (bytes) => {
      text += bytes.toString();
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (line === String(heard)) {
          heard++;
          kind.ok++;
        } else last = line;
      }
    });
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => {
      clearInterval(timer);
      if (last !== `heard ${sent}`) fail(`sent ${sent}, heard ${heard}, then "${last}"`);
      resolve();
    });
  });
}

const closing = () => new Agent({ keepAlive: false });
const kept = new Agent({ keepAlive: true, maxSockets: 4 });
const routed = new Agent({ keepAlive: true, maxSockets: 2 });
const many = (count: number, make: () => Promise<void>) => Array.from({ length: count }, make);
const streaming = stream();
const announced = setInterval(() => {
  if (!Object.values(result.kinds).every(({ ok }) => ok > 0)) return;
  process.stdout.write('running\n');
  clearInterval(announced);
}, STREAM_TICK_MS);
await Promise.all([
  ...many(4, () => repeat('new connections', (index) => echoed(closing(), index))),
  ...many(4, () => repeat('kept connections', (index) => echoed(kept, index))),
  ...many(2, () => repeat('server first', greeted)),
  ...(url === undefined
    ? []
    : many(2, () =>
        repeat('routed', async () => {
          await http(url, routed, '');
        }),
      )),
]);
running = false;
await streaming;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
