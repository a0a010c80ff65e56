/**
 * `tulle role node`: the L4 proxy and CNI agent of one node, from start to the last connection. SIGTERM drains it, a second
 * one ends it at once.
 */
import { systemClock } from '#base/clock.ts';
import { Drain } from '#base/drain.ts';
import { createLogger } from '#base/log.ts';
import { startTrim } from '#net/trim.ts';
import { uninstallNode } from './agent/uninstall.ts';
import { NODE_HELP, type NodeOptions, parseNodeOptions, statusPortsOf } from './config/options.ts';
import { DRAIN_DEADLINE_MS } from './limits.ts';
import { type Life, type RunningNode, startMeshNode } from './mesh-node.ts';
import { startStaticFile } from './static-node.ts';
import { statusSource } from './status/report.ts';
import { startStatusServers } from './status/servers.ts';

export async function runNode(argv: string[]): Promise<void> {
  const options = parseNodeOptions(argv, process.env);
  if (options === undefined) {
    process.stdout.write(NODE_HELP);
    return;
  }
  const { logLevels: level, logFormat: format } = options;
  const log = createLogger('node', { clock: systemClock, level, format });
  if (options.cni.mode === 'uninstall') {
    await uninstallNode(options, log);
    return;
  }
  const start = options.staticFile === undefined ? startMeshNode : startStatic;
  // Whose end nobody limits is not run by a kubelet: nobody will start another one beside it.
  const { drainDeadlineMs } = options;
  let node: RunningNode | undefined;
  let left: Promise<void> | undefined;
  const drain = new Drain(
    { clock: systemClock, log, parts: () => node?.parts() ?? [] },
    { deadlineMs: drainDeadlineMs ?? DRAIN_DEADLINE_MS, successor: drainDeadlineMs !== undefined },
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      drain.signal(signal);
      left ??= node?.leave();
    });
  }
  node = await start(options, { log, drain });
  const stopTrim = startTrim(systemClock);
  await drain.over;
  await left;
  stopTrim();
  node.stop();
  process.exit(0);
}

async function startStatic(options: NodeOptions, { log, drain }: Life): Promise<RunningNode> {
  const { logFormat, logLevels: levels, podLimits, crlFile, workers, dns } = options;
  const staticFile = options.staticFile ?? '';
  const given = { log, logFormat, levels, podLimits, crlFile, workers, dns };
  const node = await startStaticFile(staticFile, given);
  const { nodeName } = options;
  const waiting = () => node.proxies.find((proxy) => !proxy.ready)?.pod.name;
  const servers = startStatusServers(
    statusSource({
      nodeName,
      podName: options.podName,
      assembly: node.assembly,
      proxies: () => node.proxies,
      xds: undefined,
      drain,
      notReady: () => waiting() && `no HBONE listener for ${waiting()}`,
    }),
    statusPortsOf(options),
  );
  log.info('ready', { ...servers.ports, pods: node.proxies.length });
  return {
    parts: () => node.proxies,
    leave: async () => undefined,
    stop() {
      servers.stop();
      node.stop();
    },
  };
}
