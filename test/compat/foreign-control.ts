/**
 * A control plane that is not ours: node:http2, gRPC framing and protobuf by hand, certificates by a general X.509 library. It
 * serves what a test puts into it, keeps every request, and can misbehave.
 */
import 'reflect-metadata';
import * as http2 from 'node:http2';
import * as x509 from '@peculiar/x509';
import {
  ADDRESS,
  AUTHORIZATION,
  any,
  CREATE_CERTIFICATE,
  DELTA_ADS,
  Deframer,
  type Fields,
  fieldsOf,
  frame,
  join,
  messages,
  nested,
  numberOf,
  type Part,
  text,
  textOf,
  texts,
} from './wire.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;
export const FOREIGN_NAME = 'istiod.istio-system.svc';

export interface SeenRequest {
  /** `grpc` metadata of the stream. */
  headers: http2.IncomingHttpHeaders;
  /** Which stream, counted from 0. */
  stream: number;
  nodeId: string;
  metadata: Record<string, string>;
  typeUrl: string;
  subscribe: string[];
  unsubscribe: string[];
  initial: Record<string, string>;
  nonce: string;
  /** Message of a NACK. */
  error: string | undefined;
}

export interface SeenCsr {
  headers: http2.IncomingHttpHeaders;
  csr: string;
  validitySeconds: number;
  impersonated: string;
}

interface Served {
  version: string;
  value: Uint8Array;
}

export class ForeignControl {
  readonly requests: SeenRequest[] = [];
  readonly csrs: SeenCsr[] = [];
  /** Types that are not answered until `release`. */
  readonly held = new Set<string>();
  #waiting: (() => void)[] = [];
  /** Turns the chain that would be answered into another; throws to refuse. */
  alter: (chain: string[], wanted: string) => string[] = (chain) => chain;
  readonly #server: http2.Http2SecureServer;
  readonly #ca: ForeignCa;
  readonly #resources = { [ADDRESS]: new Map<string, Served>(), [AUTHORIZATION]: new Map() };
  readonly #streams = new Set<http2.ServerHttp2Stream>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  #opened = 0;
  #nonces = 0;
  /** Types each stream has asked for. */
  readonly #subscribed = new Map<http2.ServerHttp2Stream, Set<string>>();

  constructor(ca: ForeignCa, serving: { cert: string; key: string }) {
    this.#ca = ca;
    this.#server = http2.createSecureServer(serving);
    this.#server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => undefined);
    });
    this.#server.on('stream', (opened, headers) => {
      const stream = opened as http2.ServerHttp2Stream;
      stream.on('error', () => undefined);
      if (headers[':path'] === DELTA_ADS) this.#ads(stream, headers);
      else if (headers[':path'] === CREATE_CERTIFICATE) this.#certificate(stream, headers);
      else stream.respond({ ':status': 404 }, { endStream: true });
    });
  }

  get roots(): string {
    return this.#ca.roots;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  /** Puts resources in, or takes them out (undefined), and pushes one response with all of it. */
  push(
    type: typeof ADDRESS | typeof AUTHORIZATION,
    changes: Record<string, Served | undefined>,
  ): void {
    for (const [name, served] of Object.entries(changes)) {
      if (served === undefined) this.#resources[type].delete(name);
      else this.#resources[type].set(name, served);
    }
    for (const [stream, types] of this.#subscribed) {
      if (types.has(type)) this.#respond(stream, type, changes);
    }
  }

  /** Answers what was held. */
  release(): void {
    this.held.clear();
    for (const answer of this.#waiting.splice(0)) answer();
  }

  /** Breaks every connection off. */
  drop(): void {
    for (const session of this.#sessions) session.destroy();
  }

  stop(): void {
    this.drop();
    this.#server.close();
  }

  #ads(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    const index = this.#opened++;
    const types = new Set<string>();
    this.#streams.add(stream);
    this.#subscribed.set(stream, types);
    stream.on('close', () => this.#subscribed.delete(stream));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    const deframer = new Deframer();
    stream.on('data', (chunk: Uint8Array) => {
      for (const message of deframer.push(chunk)) {
        const request = readRequest(message, headers, index);
        this.requests.push(request);
        if (types.has(request.typeUrl)) continue;
        types.add(request.typeUrl);
        const type = request.typeUrl as typeof ADDRESS;
        const held = this.#resources[type] ?? new Map<string, Served>();
        const missing = [...held].filter(([name, { version }]) =>
          version === '' ? true : request.initial[name] !== version,
        );
        const gone = Object.keys(request.initial).filter((name) => !held.has(name));
        const answer = () =>
          this.#respond(stream, type, {
            ...Object.fromEntries(missing),
            ...Object.fromEntries(gone.map((name) => [name, undefined])),
          });
        if (this.held.has(type)) this.#waiting.push(answer);
        else answer();
      }
    });
  }

  #respond(
    stream: http2.ServerHttp2Stream,
    type: string,
    changes: Record<string, Served | undefined>,
  ): void {
    const parts: Part[] = [];
    const removed: Part[] = [];
    for (const [name, served] of Object.entries(changes)) {
      if (served === undefined) removed.push(text(6, name));
      else {
        const version = served.version === '' ? [] : [text(1, served.version)];
        parts.push(nested(2, ...version, any(2, type, served.value), text(3, name)));
      }
    }
    const nonce = `foreign-${++this.#nonces}`;
    stream.write(frame(join(...parts, text(4, type), text(5, nonce), ...removed)));
  }

  #certificate(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    const deframer = new Deframer();
    stream.on('data', (chunk: Uint8Array) => {
      for (const message of deframer.push(chunk)) void this.#sign(stream, headers, message);
    });
  }

  async #sign(
    stream: http2.ServerHttp2Stream,
    headers: http2.IncomingHttpHeaders,
    message: Uint8Array,
  ): Promise<void> {
    const fields = fieldsOf(message);
    const csr = textOf(fields, 1);
    const impersonated = structOf(messages(fields, 4)[0]).ImpersonatedIdentity ?? '';
    this.csrs.push({ headers, csr, validitySeconds: numberOf(fields, 3), impersonated });
    let chain: string[];
    try {
      chain = this.alter(await this.#ca.sign(csr, impersonated), impersonated);
    } catch (error) {
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': '16',
          'grpc-message': encodeURIComponent((error as Error).message),
        },
        { endStream: true },
      );
      return;
    }
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(frame(join(...chain.map((element) => text(1, element)))));
  }
}

export interface ForeignCa {
  /** Both roots: the one in use and the next. */
  readonly roots: string;
  /** Leaf, intermediate, roots. */
  sign(csr: string, uri: string): Promise<string[]>;
}

export async function startForeignControl(): Promise<ForeignControl> {
  x509.cryptoProvider.set(crypto);
  const { ca, serving } = await makeForeignCa();
  const control = new ForeignControl(ca, serving);
  await control.listen();
  return control;
}

async function makeForeignCa() {
  const now = Date.now();
  const lifetime = { notBefore: new Date(now - HOUR_MS), notAfter: new Date(now + HOUR_MS) };
  const keysOf = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const pem = (certificate: x509.X509Certificate) => `${certificate.toString('pem')}\n`;
  const authority = [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
  ];
  const makeRoot = async (name: string) => {
    const keys = await keysOf();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      keys,
      signingAlgorithm: ALGORITHM,
      ...lifetime,
      extensions: authority,
    });
    return { keys, certificate };
  };
  const root = await makeRoot('foreign root');
  const next = await makeRoot('next root');
  const intermediateKeys = await keysOf();
  const intermediate = await x509.X509CertificateGenerator.create({
    subject: 'CN=foreign intermediate',
    issuer: root.certificate.subject,
    publicKey: intermediateKeys.publicKey,
    signingKey: root.keys.privateKey,
    signingAlgorithm: ALGORITHM,
    ...lifetime,
    extensions: authority,
  });
  const leafOf = (publicKey: CryptoKey | x509.PublicKey, ...names: x509.JsonGeneralName[]) =>
    x509.X509CertificateGenerator.create({
      subject: '',
      issuer: intermediate.subject,
      publicKey,
      signingKey: intermediateKeys.privateKey,
      signingAlgorithm: ALGORITHM,
      ...lifetime,
      extensions: [
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension(names, true),
      ],
    });
  const servingKeys = await keysOf();
  const served = await leafOf(
    servingKeys.publicKey,
    { type: 'dns', value: FOREIGN_NAME },
    { type: 'dns', value: 'localhost' },
  );
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', servingKeys.privateKey));
  const roots = pem(root.certificate) + pem(next.certificate);
  const ca: ForeignCa = {
    roots,
    async sign(csr, uri) {
      const { publicKey } = new x509.Pkcs10CertificateRequest(csr);
      return [pem(await leafOf(publicKey, { type: 'url', value: uri })), pem(intermediate), roots];
    },
  };
  const base64 = key.toString('base64').replace(/(.{64})/g, '$1\n');
  const serving = {
    cert: pem(served) + pem(intermediate),
    key: `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`,
  };
  return { ca, serving };
}

function readRequest(
  message: Uint8Array,
  headers: http2.IncomingHttpHeaders,
  stream: number,
): SeenRequest {
  const fields = fieldsOf(message);
  const [node] = messages(fields, 1);
  const [status] = messages(fields, 7);
  const initial = messages(fields, 5).map((pair) => [textOf(pair, 1), textOf(pair, 2)]);
  return {
    headers,
    stream,
    nodeId: node === undefined ? '' : textOf(node, 1),
    metadata: node === undefined ? {} : structOf(messages(node, 3)[0]),
    typeUrl: textOf(fields, 2),
    subscribe: texts(fields, 3),
    unsubscribe: texts(fields, 4),
    initial: Object.fromEntries(initial),
    nonce: textOf(fields, 6),
    error: status === undefined ? undefined : textOf(status, 2),
  };
}

/** The strings of a google.protobuf.Struct. */
function structOf(struct: Fields | undefined): Record<string, string> {
  if (struct === undefined) return {};
  return Object.fromEntries(
    messages(struct, 1).map((pair) => [textOf(pair, 1), textOf(messages(pair, 2)[0], 3)]),
  );
}
