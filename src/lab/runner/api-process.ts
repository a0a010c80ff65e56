/** Runs the API server as a process of its own in the fabric and hands out a client for it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError, messageOf } from '#base/errors.ts';
import { RestClient } from '#kube/client/rest-client.ts';
import { LAB_ERRORS } from '../errors.ts';
import { programCommand } from '../program.ts';
import { API_PORT, FABRIC_ADDRESS, SERVICE_CIDR } from '../topology/addresses.ts';

const DATA_DIRECTORY = '/run/tulle/apiserver';

export interface ApiProcess {
  client: RestClient;
  certificateAuthority: string;
  token: string;
  /** Rejects never; resolves when the process has ended, which nothing in the lab survives. */
  exited: Promise<number>;
}

export async function startApiProcess(unixSocket: string): Promise<ApiProcess> {
  const flags = [
    `--data-dir=${DATA_DIRECTORY}`,
    `--listen=${FABRIC_ADDRESS}:${API_PORT}`,
    `--unix=${unixSocket}`,
    `--service-cidr=${SERVICE_CIDR}`,
    '--kubelet-url-template=unix:/run/tulle/{node}/kubelet.sock',
    '--log-level=warn',
  ];
  const child = Bun.spawn([...programCommand(), 'role', 'apiserver', ...flags], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  await ready(child.stdout, child.exited);
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
  return { client, certificateAuthority, token, exited: child.exited };
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
