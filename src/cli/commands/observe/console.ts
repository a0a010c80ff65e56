/** `tulle console`: the console in a browser of this machine, through the API server's port forwarding. */
import type { Command } from 'commander';
import { clusterFor } from '../../cluster.ts';
import { CONSOLE_PORT, consoleUrl, controlPod } from '../../console-client.ts';
import { forwardPodPort } from '../../pod-port.ts';

export async function openConsole(options: { port?: number }, command: Command): Promise<void> {
  const known = consoleUrl(command);
  if (known !== undefined) {
    process.stdout.write(`${known}\n`);
    return;
  }
  const cluster = clusterFor(command);
  const at = { hostname: '127.0.0.1', port: options.port ?? CONSOLE_PORT };
  using port = await forwardPodPort(cluster, await controlPod(cluster), at);
  process.stdout.write(`http://127.0.0.1:${port.port}\n`);
  process.stderr.write(`forwarding to ${port.name} until Ctrl-C\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
