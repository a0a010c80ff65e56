/**
 * An echo on a process of its own with few open files. Prints its port; then, for each line on its input, what it has open and
 * how much processor time it used; its warnings go to the same output.
 */
import { readdirSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection } from '#net/connection.ts';

const ignore = () => undefined;
const write = (line: string) => void process.stdout.write(line);
const log = createLogger('net', { clock: systemClock, format: 'json', write });
const network = new BunNetwork({ clock: systemClock, log });
const open = new Set<Connection>();
const listener = network.listen({ address: '127.0.0.1', port: 0 }, (connection) => {
  open.add(connection);
  return {
    onData: (bytes) => void connection.write(bytes),
    onDrain: () => undefined,
    onEnd: () => connection.end(),
    onClose: () => void open.delete(connection),
  };
});
write(`${JSON.stringify({ port: listener.port })}\n`);
for await (const line of console) {
  const { user, system } = process.cpuUsage();
  // Reading the folder takes a descriptor itself: proof that some are left.
  const files = readdirSync('/proc/self/fd').length;
  const dialled = Promise.withResolvers<string>();
  if (line === 'dial') {
    const place = { address: '127.0.0.1', port: listener.port, connectTimeoutMs: 1000 };
    network.connect(place, {
      onOpen(connection) {
        dialled.resolve('opened');
        queueMicrotask(() => connection.reset());
        return { onData: ignore, onDrain: ignore, onEnd: ignore, onClose: ignore };
      },
      onFail: (error) => dialled.resolve(error.message),
    });
  } else dialled.resolve('');
  const facts = {
    open: open.size,
    files,
    cpuMs: (user + system) / 1000,
    dial: await dialled.promise,
  };
  write(`${JSON.stringify(facts)}\n`);
}
