/** What the inner runner tells the launcher, and a detached launcher its starter: one JSON object a line. */

export type LabEvent =
  /** A step of the start is done. */
  | { event: 'step'; text: string; elapsedMs: number }
  /** The API answers; enough to write a kubeconfig. */
  | { event: 'api'; certificateAuthority: string; token: string; namespace: string }
  | ReadyEvent
  /** A Service of type LoadBalancer has this address; without ports it is gone. */
  | {
      event: 'balancer';
      service: string;
      address: string;
      ports: { port: number; path: string }[];
    }
  | { event: 'failed'; code: string; message: string; hint: string };

export interface ReadyEvent {
  event: 'ready';
  elapsedMs: number;
  consoleUrl: string;
  apiServer: string;
  kubeconfig: string;
  /** What was set up, in sentences. */
  done: string[];
  /** Commands to try, each with what it shows. */
  next: { command: string; shows: string }[];
}

/** Everything that the inner runner is told, as one JSON argument. */
export interface RunnerOptions {
  nodes: number;
  demo: boolean;
  /** False: a plain cluster without the mesh's parts. */
  mesh: boolean;
  files: string[];
  apiSocket: string;
  consoleSocket: string;
  stateDirectory: string;
  /** How a person calls this program, for printed commands. */
  program: string;
}

export function encodeEvent(event: LabEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** Calls `onEvent` for every whole line; other output (a crash's) goes to `onText`. `signal` ends it early. */
export async function readEvents(
  stream: ReadableStream<Uint8Array>,
  { onEvent, onText, signal }: EventReader,
): Promise<void> {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  signal?.addEventListener('abort', () => void reader.cancel());
  let pending = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pending += decoder.decode(value, { stream: true });
    const lines = pending.split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      const event = parseEvent(line);
      if (event === undefined) onText(line);
      else onEvent(event);
    }
  }
  if (pending !== '') onText(pending);
}

export interface EventReader {
  onEvent: (event: LabEvent) => void;
  onText: (line: string) => void;
  signal?: AbortSignal;
}

function parseEvent(line: string): LabEvent | undefined {
  if (!line.startsWith('{"event":')) return undefined;
  try {
    return JSON.parse(line) as LabEvent;
  } catch {
    // A line that only looks like an event is text.
    return undefined;
  }
}
