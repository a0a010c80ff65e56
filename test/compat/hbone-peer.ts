/** Runs hbone-server.ts in a pod's namespace and keeps what it says. */
import { until } from '#test/support/apiserver.ts';
import type { ServerEvent, ServerInput } from './hbone-server.ts';

export type StreamEvent = Extract<ServerEvent, { event: 'stream' }>;
export type ConnectionEvent = Extract<ServerEvent, { event: 'connection' }>;

export interface HbonePeer {
  readonly streams: () => StreamEvent[];
  readonly connections: () => ConnectionEvent[];
  /** From now on. */
  forget(): void;
  stop(): Promise<void>;
}

export async function startPeer(netns: string, input: ServerInput): Promise<HbonePeer> {
  const program = [process.execPath, `${import.meta.dir}/hbone-server.ts`];
  const peer = Bun.spawn(['ip', 'netns', 'exec', netns, ...program], {
    stdin: new TextEncoder().encode(JSON.stringify(input)),
    stdout: 'pipe',
    stderr: 'inherit',
  });
  let events: ServerEvent[] = [];
  const collect = async () => {
    let rest = '';
    for await (const chunk of peer.stdout) {
      const lines = (rest + Buffer.from(chunk).toString()).split('\n');
      rest = lines.pop() ?? '';
      events.push(...lines.map((line) => JSON.parse(line) as ServerEvent));
    }
  };
  void collect();
  await until(() => events.find(({ event }) => event === 'listening'));
  return {
    streams: () => events.filter((each): each is StreamEvent => each.event === 'stream'),
    connections: () =>
      events.filter((each): each is ConnectionEvent => each.event === 'connection'),
    forget() {
      events = [];
    },
    async stop() {
      peer.kill('SIGKILL');
      await peer.exited;
    },
  };
}
