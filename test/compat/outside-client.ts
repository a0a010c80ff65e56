/** A client of the control plane that is not ours: node:http2, gRPC framing and protobuf by hand. */
import * as http2 from 'node:http2';
import {
  bytesOf,
  CREATE_CERTIFICATE,
  DELTA_ADS,
  Deframer,
  type Fields,
  fieldsOf,
  frame,
  join,
  messages,
  nested,
  type Part,
  text,
  textOf,
  texts,
} from './wire.ts';

export interface OutsideOptions {
  port: number;
  rootPem: string;
  serverName: string;
  headers: Record<string, string>;
}

export interface SeenResource {
  name: string;
  version: string;
  aliases: string[];
  typeUrl: string;
  value: Fields;
}

export interface SeenResponse {
  typeUrl: string;
  nonce: string;
  resources: SeenResource[];
  removed: string[];
}

export interface Ended {
  status: string;
  message: string;
}

export class OutsideStream {
  readonly responses: SeenResponse[] = [];
  readonly ended: Promise<Ended>;
  readonly #stream: http2.ClientHttp2Stream;
  #waiting: (() => void)[] = [];

  constructor(stream: http2.ClientHttp2Stream) {
    this.#stream = stream;
    const deframer = new Deframer();
    stream.on('data', (chunk: Uint8Array) => {
      for (const message of deframer.push(chunk)) this.responses.push(readResponse(message));
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.ended = endOf(stream);
  }

  send(...parts: readonly Part[]): void {
    this.#stream.write(frame(join(...parts)));
  }

  /** The response at `index`, once it is there. */
  async response(index: number): Promise<SeenResponse> {
    while (this.responses.length <= index) {
      const more = new Promise<void>((resolve) => this.#waiting.push(resolve));
      const ended = this.ended.then((end) => {
        throw new Error(`stream ended: ${end.status} ${end.message}`);
      });
      await Promise.race([more, ended]);
    }
    return this.responses[index];
  }

  close(): void {
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
  }
}

export class OutsideClient {
  readonly #session: http2.ClientHttp2Session;
  readonly #headers: Record<string, string>;

  constructor({ port, rootPem, serverName, headers }: OutsideOptions) {
    this.#session = http2.connect(`https://127.0.0.1:${port}`, {
      ca: rootPem,
      servername: serverName,
    });
    this.#session.on('error', () => undefined);
    this.#headers = headers;
  }

  openAds(): OutsideStream {
    return new OutsideStream(this.#open(DELTA_ADS));
  }

  /** The certificate chain, or how the call ended. */
  async createCertificate(...request: readonly Part[]): Promise<string[] | Ended> {
    const stream = this.#open(CREATE_CERTIFICATE);
    const deframer = new Deframer();
    const answers: Uint8Array[] = [];
    stream.on('data', (chunk: Uint8Array) => answers.push(...deframer.push(chunk)));
    stream.end(frame(join(...request)));
    const ended = await endOf(stream);
    return ended.status === '0' ? texts(fieldsOf(answers[0]), 1) : ended;
  }

  close(): void {
    this.#session.destroy();
  }

  #open(path: string): http2.ClientHttp2Stream {
    return this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...this.#headers,
    });
  }
}

function endOf(stream: http2.ClientHttp2Stream): Promise<Ended> {
  let ended: Ended | undefined;
  const note = (headers: http2.IncomingHttpHeaders) => {
    const status = headers['grpc-status'];
    if (status === undefined) return;
    const message = decodeURIComponent(String(headers['grpc-message'] ?? ''));
    ended = { status: String(status), message };
  };
  stream.on('response', note);
  stream.on('trailers', note);
  return new Promise((resolve) => {
    stream.on('error', () => undefined);
    // The server has finished: so do we.
    stream.on('end', () => stream.end());
    stream.on('close', () => resolve(ended ?? { status: 'none', message: 'no status' }));
    stream.resume();
  });
}

function readResponse(message: Uint8Array): SeenResponse {
  const fields = fieldsOf(message);
  return {
    typeUrl: textOf(fields, 4),
    nonce: textOf(fields, 5),
    removed: texts(fields, 6),
    resources: messages(fields, 2).map((resource) => {
      const [any] = messages(resource, 2);
      return {
        name: textOf(resource, 3),
        version: textOf(resource, 1),
        aliases: texts(resource, 4),
        typeUrl: textOf(any, 1),
        value: fieldsOf(bytesOf(any, 2)),
      };
    }),
  };
}

/** `Node` under field 1 of a discovery request, as an outside ztunnel writes it. */
export function ztunnelNode(pod: { name: string; namespace: string; ip: string; node: string }) {
  const { name, namespace, ip, node } = pod;
  const value = (key: string, content: string) =>
    nested(1, text(1, key), nested(2, text(3, content)));
  return nested(
    1,
    text(1, `ztunnel~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`),
    nested(
      3,
      value('NAME', name),
      value('NAMESPACE', namespace),
      value('INSTANCE_IPS', ip),
      value('NODE_NAME', node),
      value('CLUSTER_ID', 'Kubernetes'),
    ),
  );
}
