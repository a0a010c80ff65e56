/**
 * Runs the API server as a process of its own in the fabric and hands out a client for it. When it ends it is
 * started again on the same data, addresses and keys: clients reconnect, and the mesh's traffic never notices.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Backoff } from '#base/backoff.ts';
import { type Clock, sleep } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { RestClient } from '#kube/client/rest-client.ts';
import { LAB_ERRORS } from '../errors.ts';
import { API_RESTART_CAP_MS, API_RESTART_INITIAL_MS } from '../limits.ts';
import { programCommand } from '../program.ts';
import { API_PORT, FABRIC_ADDRESS, SERVICE_CIDR } from '../topology/addresses.ts';

const DATA_DIRECTORY = '/run/tulle/apiserver';

export interface ApiProcess {
  client: RestClient;
  certificateAuthority: string;
  token: string;
}

export interface ApiProcessDeps {
  clock: Clock;
  random: Random;
  log: Logger;
}

type Child = Bun.Subprocess<'ignore', 'pipe', 'inherit'>;

/** Resolves when it serves; from then on it is kept running. */
export async function startApiProcess(
  deps: ApiProcessDeps,
  unixSocket: string,
): Promise<ApiProcess> {
  const flags = [
    `--data-dir=${DATA_DIRECTORY}`,
    `--listen=${FABRIC_ADDRESS}:${API_PORT}`,
    `--unix=${unixSocket}`,
    `--service-cidr=${SERVICE_CIDR}`,
    '--kubelet-url-template=unix:/run/tulle/{node}/kubelet.sock',
    '--log-level=warn',
  ];
  const start = () => startServing([...programCommand(), 'role', 'apiserver', ...flags]);
  keepRunning(deps, await start(), start);
  const read = (name: string) => readFileSync(join(DATA_DIRECTORY, name), 'utf8');
  const certificateAuthority = read('ca.crt');
  const token = read('admin.token').trim();
  const client = new RestClient(
    { fetch: (url, init) => fetch(url, init) },
    {
      server: `https://${FABRIC_ADDRESS}:${API_PORT}`,
      tls: { ca: certificateAuthority },
      token: () => token,
    },
  );
  return { client, certificateAuthority, token };
}

async function startServing(command: string[]): Promise<Child> {
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  await ready(child.stdout, child.exited);
  return child;
}

/** At once after a run that served, with growing pauses while it does not start. */
function keepRunning(deps: ApiProcessDeps, first: Child, start: () => Promise<Child>): void {
  const { clock, random, log } = deps;
  const backoff = new Backoff(random, {
    initialMs: API_RESTART_INITIAL_MS,
    capMs: API_RESTART_CAP_MS,
  });
  const restart = async () => {
    for (;;) {
      try {
        const child = await start();
        log.info('the API server serves again');
        backoff.reset();
        return child;
      } catch (error) {
        log.error('the API server does not start', { reason: messageOf(error) });
        await sleep(clock, backoff.nextDelayMs());
      }
    }
  };
  const follow = (child: Child): void => {
    void child.exited.then(async (status) => {
      log.warn('the API server ended and is started again', { status });
      follow(await restart());
    });
  };
  follow(first);
}

/** The first line says that it serves. */
async function ready(stdout: ReadableStream<Uint8Array>, exited: Promise<number>): Promise<void> {
  const reader = stdout.getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes('\n')) {
    const { done, value } = await reader.read();
    if (done) throw notStarted(`it ended with status ${await exited}`);
    text += decoder.decode(value, { stream: true });
  }
  try {
    if ((JSON.parse(text.slice(0, text.indexOf('\n'))) as { ready?: boolean }).ready === true)
      return;
  } catch (error) {
    throw notStarted(`${messageOf(error)}: ${text.trim()}`);
  }
  throw notStarted(text.trim());
}

function notStarted(detail: string): MeshError {
  return new MeshError('LAB_START_FAILED', `the API server did not start: ${detail}`, {
    side: 'self',
    hint: LAB_ERRORS.LAB_START_FAILED,
  });
}
