/**
 * The app end of mixed traffic, a program of its own: HTTP on 8080; on 8081 the server speaks first and says one line; on 8082 a
 * stream that counts in both directions until the client ends it.
 */
import { createServer, type Socket } from 'node:net';

const TICK_MS = 50;

Bun.serve({
  hostname: '0.0.0.0',
  port: 8080,
  fetch: async (request) => new Response(`${await request.text()} answered`),
});

function listen(port: number, onSocket: (socket: Socket) => void): void {
  // Half-open: the client's FIN ends its own direction only.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', (error) => process.stderr.write(`${port}: ${error.message}\n`));
    onSocket(socket);
  });
  server.listen(port, '0.0.0.0');
}

listen(8081, (socket) => {
  socket.write('greetings\n');
  socket.on('end', () => socket.end('bye\n'));
  socket.resume();
});

listen(8082, (socket) => {
  let sent = 0;
  let heard = 0;
  let text = '';
  const timer = setInterval(() => socket.write(`${sent++}\n`), TICK_MS);
  socket.on('data', (bytes) => {
    text += bytes.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      if (line === String(heard)) heard++;
      else socket.destroy();
    }
  });
  socket.on('end', () => {
    clearInterval(timer);
    socket.end(`heard ${heard}\n`);
  });
  socket.on('close', () => clearInterval(timer));
});
