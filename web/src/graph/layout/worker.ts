/** Lays graphs out off the main thread: a request in, its answer out, in order. */
import { layOut } from './layout.ts';
import { type PackedRequest, unpacked } from './packed.ts';

addEventListener('message', (event: MessageEvent<{ id: number; request: PackedRequest }>) => {
  postMessage({ id: event.data.id, answer: layOut(unpacked(event.data.request)) });
});
