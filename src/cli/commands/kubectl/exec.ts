/**
 * `tulle exec POD -- CMD`: runs a command in the pod's network over Kubernetes' WebSocket protocol
 * (v5.channel.k8s.io: first byte of a message is the channel; 0 in, 1 out, 2 err, 3 status, 255 close).
 */
import type { Command } from 'commander';
import { MeshError } from '#base/errors.ts';
import { type Cluster, clusterFor } from '../../cluster.ts';
import { CLI_ERRORS } from '../../errors.ts';
import { EXIT, ExitWith, UsageError } from '../../output/report.ts';
import { findPod } from './pods.ts';

const SUBPROTOCOL = 'v5.channel.k8s.io';
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const;

export interface ExecOptions {
  namespace?: string;
  container?: string;
  stdin?: boolean;
}

interface StatusMessage {
  status?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

export async function exec(words: string[], options: ExecOptions, command: Command): Promise<void> {
  const [word, ...program] = words;
  if (word === undefined || program.length === 0)
    throw new UsageError('tulle exec [-n NAMESPACE] POD -- COMMAND [ARGUMENT…]');
  const cluster = clusterFor(command);
  const namespace = options.namespace ?? cluster.namespace;
  const pod = await findPod(cluster.client, namespace, word);
  const query = new URLSearchParams({
    stdout: 'true',
    stderr: 'true',
    stdin: String(options.stdin === true),
  });
  if (options.container !== undefined) query.set('container', options.container);
  for (const part of program) query.append('command', part);
  const path = `/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}/exec?${query}`;
  const status = await runRemote(cluster, path, options.stdin === true);
  if (status !== EXIT.done) throw new ExitWith(status);
}

/** The exit status of the remote program. */
function runRemote(cluster: Cluster, path: string, forwardStdin: boolean): Promise<number> {
  const { server, token, tls } = cluster.connection;
  const bearer = token?.();
  const socket = new WebSocket(server.replace(/^http/, 'ws') + path, {
    protocols: [SUBPROTOCOL],
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
    tls,
  } as unknown as string[]);
  socket.binaryType = 'arraybuffer';
  return new Promise((resolve, reject) => {
    let status: number | undefined;
    socket.onopen = () => {
      if (forwardStdin) void sendStdin(socket);
    };
    socket.onmessage = ({ data }) => {
      const bytes = new Uint8Array(data as ArrayBuffer);
      const payload = bytes.subarray(1);
      if (bytes[0] === CHANNEL.stdout) process.stdout.write(payload);
      else if (bytes[0] === CHANNEL.stderr) process.stderr.write(payload);
      else if (bytes[0] === CHANNEL.status)
        status = exitStatusOf(JSON.parse(Buffer.from(payload).toString('utf8')) as StatusMessage);
    };
    socket.onclose = ({ code, reason }) => {
      if (status !== undefined) return resolve(status);
      reject(
        execFailed(
          `the connection ended before the command did (${code} ${reason || 'no reason given'})`,
        ),
      );
    };
    socket.onerror = (event) => {
      const message = 'message' in event ? String(event.message) : 'the connection failed';
      reject(execFailed(`${server}: ${message}`));
    };
  });
}

async function sendStdin(socket: WebSocket): Promise<void> {
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array);
    socket.send(Buffer.concat([Buffer.of(CHANNEL.stdin), bytes]));
  }
  // Closing a channel is a v5 addition: 255 and the channel's number.
  socket.send(Buffer.of(CHANNEL.close, CHANNEL.stdin));
}

/** A v1.Status: Success is 0; a NonZeroExitCode failure carries the code as a cause. */
export function exitStatusOf(status: StatusMessage): number {
  if (status.status === 'Success') return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === 'ExitCode');
  if (cause?.message !== undefined) return Number(cause.message);
  throw execFailed(status.message ?? 'the command could not be started');
}

function execFailed(message: string): MeshError {
  return new MeshError('CLI_EXEC_FAILED', message, {
    side: 'upstream',
    hint: CLI_ERRORS.CLI_EXEC_FAILED,
  });
}
