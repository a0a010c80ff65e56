/** Sends bytes as they are and collects what comes back. */
import { connect } from 'node:net';

/** Waiting for more, and for anything at all. */
export const QUIET_MS = 60;
const SILENCE_MS = 3000;
/** Of so many waits is the quiet time, with a look at all sockets between two: a process that stands still hears nothing, and that is no quiet. */
const QUIET_LOOKS = 12;

export interface RawAnswer {
  /** Everything that came. */
  readonly text: string;
  /** Status codes of the final answers in it, in order. */
  readonly statuses: readonly number[];
  /** The peer closed the connection. */
  readonly closed: boolean;
}

/** Until the peer closes, or nothing came for QUIET_MS once something did and it did not say that it closes; `pieces` are sent one a turn. */
export function sendRaw(port: number, pieces: string | readonly string[]): Promise<RawAnswer> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer>();
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setNoDelay(true);
  let text = '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  const finish = (closed: boolean) => {
    clearTimeout(timer);
    socket.destroy();
    resolve({ text, statuses: statusesOf(text), closed });
  };
  const wait = () => {
    // Who says that it closes is given the time to do it, however busy the machine is.
    const isMoreDue = text === '' || /\r\nconnection: close\r\n/i.test(text);
    clearTimeout(timer);
    if (isMoreDue) timer = setTimeout(() => finish(false), SILENCE_MS);
    else look(QUIET_LOOKS);
  };
  const look = (left: number) => {
    if (left === 0) finish(false);
    else timer = setTimeout(look, QUIET_MS / QUIET_LOOKS, left - 1);
  };
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
    wait();
  });
  socket.on('error', () => finish(true));
  socket.on('close', () => finish(true));
  const all = typeof pieces === 'string' ? [pieces] : pieces;
  const next = (index: number) => {
    if (index === all.length) wait();
    else socket.write(all[index], 'latin1', () => setImmediate(next, index + 1));
  };
  next(0);
  return promise;
}

function statusesOf(text: string): number[] {
  const found = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
  return found.filter((status) => status === 101 || status >= 200);
}
