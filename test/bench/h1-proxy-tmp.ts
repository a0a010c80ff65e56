import { systemClock } from '#base/clock.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { H1ClientConnection } from '#http/h1/client.ts';
import { H1ServerConnection } from '#http/h1/server.ts';
import type { ServerExchange } from '#http/dispatch/dispatch.ts';
import { forward } from './forward.ts';
const deps = { clock: systemClock };
const network = new BunNetwork(deps);
const idle: H1ClientConnection[] = [];
function onExchange(exchange: ServerExchange): void {
  exchange.request.set('x-request-id', crypto.randomUUID());
  const client = idle.pop();
  if (client !== undefined) { forward(exchange, client); return; }
  network.connect({ address: '127.0.0.1', port: 8000, connectTimeoutMs: 2000 }, {
    onOpen(connection) {
      const made = new H1ClientConnection(connection, deps);
      made.onChange = () => { if (!made.closed && made.capacity > 0) idle.push(made); else if (made.closed) { const i = idle.indexOf(made); if (i >= 0) idle.splice(i, 1); } };
      queueMicrotask(() => forward(exchange, made));
      return made;
    },
    onFail: (error) => console.error(error),
  });
}
await network.listen({ address: '127.0.0.1', port: Number(process.argv[2]) }, (connection) => new H1ServerConnection(connection, deps, {}, onExchange));
setTimeout(() => process.exit(0), Number(process.argv[3] ?? 9) * 1000);
