/** The page's end of the layout worker. One worker for all graphs. */
import { packed } from './packed.ts';
import type { LayoutAnswer, LayoutRequest } from './types.ts';

let worker: Worker | undefined;
let count = 0;
const waiting = new Map<number, (answer: LayoutAnswer) => void>();

/** Before there is something to lay out: a worker takes a while to start, and the first answer is on its way meanwhile. */
export function startLayout(): void {
  running();
}

export function layOutAside(request: LayoutRequest): Promise<LayoutAnswer> {
  const own = running();
  count += 1;
  const id = count;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    const message = packed(request);
    own.postMessage({ id, request: message }, [message.ends.buffer, message.weights.buffer]);
  });
}

function running(): Worker {
  worker ??= start();
  return worker;
}

function start(): Worker {
  const started = new Worker(LAYOUT_WORKER, { type: 'module' });
  started.addEventListener(
    'message',
    (event: MessageEvent<{ id: number; answer: LayoutAnswer }>) => {
      waiting.get(event.data.id)?.(event.data.answer);
      waiting.delete(event.data.id);
    },
  );
  return started;
}
