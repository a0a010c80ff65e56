/** Reads live graphs and lays graphs out, off the main thread. */
import { layOut } from '../layout/layout.ts';
import type { PackedScene } from '../scene/packed-scene.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { GraphStream } from './stream.ts';

const streams = new Map<number, GraphStream>();
const tell = (message: FromWorker, given: Transferable[] = []) =>
  postMessage(message, { transfer: given });

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  const { id } = data;
  switch (data.kind) {
    case 'layout':
      tell({ kind: 'layout', id, answer: layOut(data.request) });
      break;
    case 'open':
      streams.set(
        id,
        new GraphStream(data.address, {
          onState: (state) => tell({ kind: 'state', id, state }),
          onHead: (head) => tell({ kind: 'head', id, head }, numbersOf(head.scene)),
          onPart: (part) => tell({ kind: 'part', id, part }),
          onDelta: (delta) => tell({ kind: 'delta', id, delta }),
        }),
      );
      break;
    case 'more':
      streams.get(id)?.more();
      break;
    case 'close':
      streams.get(id)?.close();
      streams.delete(id);
      break;
  }
});

/** Handed over, not copied. */
function numbersOf(scene: PackedScene | undefined): Transferable[] {
  return scene === undefined ? [] : [scene.rows.buffer, scene.curves.buffer];
}
