/** What is known of a request or a connection when policies are asked about it. */

/** Of a connection when `http` is undefined. */
export interface PolicyFacts {
  /** Full `spiffe://…`; undefined: nothing was proven. */
  readonly principal: string | undefined;
  readonly sourceIp: string;
  /** The client behind trusted proxies. */
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly sni?: string;
  readonly http?: HttpFacts;
  /** Of a verified token. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface HttpFacts {
  readonly method: string;
  readonly authority: string;
  /** With the query. */
  readonly path: string;
  /** Values of a field joined by `,`; `name` is lower case. */
  header(name: string): string | undefined;
}
