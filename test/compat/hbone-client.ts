/**
 * A hand-made HBONE client, a program of its own so that it can run in a pod's namespace: node:http2 over mutual TLS. Reads
 * one JSON object from its standard input, sends the requests one after the other over one connection, and prints what came.
 */
import * as http2 from 'node:http2';

export interface Ask {
  method?: string;
  authority: string;
  headers?: Record<string, string>;
  send?: string;
}

export interface Heard {
  /** 0: there was no answer. */
  status: number;
  baggage: string | undefined;
  body: string;
  reset: boolean;
}

export interface ClientInput {
  address: string;
  identity: { certificateChain: string; privateKey: string; trustBundle: string };
  asks: Ask[];
}

if (import.meta.main) {
  const input = (await Bun.stdin.json()) as ClientInput;
  const { certificateChain, privateKey, trustBundle } = input.identity;
  const host = input.address.includes(':') ? `[${input.address}]` : input.address;
  const session = http2.connect(`https://${host}:15008`, {
    cert: certificateChain,
    key: privateKey,
    ca: trustBundle,
    // Names are SPIFFE here; who we reached is not what these tests are about.
    checkServerIdentity: () => undefined,
  });
  const failed = new Promise<Heard>((resolve) => {
    session.on('error', () => resolve({ status: 0, baggage: undefined, body: '', reset: true }));
  });
  const heard: Heard[] = [];
  for (const ask of input.asks) heard.push(await Promise.race([exchange(session, ask), failed]));
  session.destroy();
  process.stdout.write(JSON.stringify(heard));
  process.exit(0);
}

function exchange(session: http2.ClientHttp2Session, ask: Ask): Promise<Heard> {
  const method = ask.method ?? 'CONNECT';
  const target = method === 'CONNECT' ? {} : { ':path': '/', ':scheme': 'https' };
  const stream = session.request({
    ':method': method,
    ':authority': ask.authority,
    ...target,
    ...ask.headers,
  });
  const heard: Heard = { status: 0, baggage: undefined, body: '', reset: false };
  stream.on('response', (headers) => {
    heard.status = Number(headers[':status']);
    heard.baggage = headers.baggage as string | undefined;
    stream.end(ask.send ?? '');
  });
  stream.on('data', (chunk: Uint8Array) => {
    heard.body += Buffer.from(chunk).toString('latin1');
  });
  stream.on('error', () => {
    heard.reset = true;
  });
  return new Promise((resolve) => stream.on('close', () => resolve(heard)));
}
