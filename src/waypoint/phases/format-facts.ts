/** What command operators in header values stand for in one request. */
import { hostname } from 'node:os';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { HeaderFormatFacts, PlainOperator } from '#model/route/header-format.ts';
import type { RequestRun } from './request-run.ts';

const HOSTNAME = hostname();

export class FormatFacts implements HeaderFormatFacts {
  readonly #run: RequestRun;
  readonly #response: MessageHead | undefined;

  constructor(run: RequestRun, response: MessageHead | undefined) {
    this.#run = run;
    this.#response = response;
  }

  value(operator: PlainOperator): string | undefined {
    const run = this.#run;
    const { tunnel } = run;
    switch (operator) {
      case 'DOWNSTREAM_REMOTE_ADDRESS':
        return tunnel.remote;
      case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
        return tunnel.source.address;
      case 'DOWNSTREAM_REMOTE_PORT':
        return portOf(tunnel.remote);
      case 'DOWNSTREAM_LOCAL_ADDRESS':
        return tunnel.local;
      case 'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT':
        return tunnel.host;
      case 'DOWNSTREAM_LOCAL_PORT':
        return String(tunnel.port);
      case 'DOWNSTREAM_PEER_URI_SAN':
        return tunnel.source.principal;
      case 'PROTOCOL':
        return run.protocol;
      case 'ROUTE_NAME':
        return run.entry?.route.route.name;
      case 'BYTES_RECEIVED':
        return String(run.requestBytes);
      case 'DURATION':
        return String(Math.round(run.engine.clock.now() - run.startedAt));
      case 'HOSTNAME':
        return HOSTNAME;
      case 'REQUESTED_SERVER_NAME':
        return tunnel.gateway?.sni;
      default:
        return this.#answerValue(operator);
    }
  }

  requestHeader(name: string): string | undefined {
    const { request, originalPath } = this.#run;
    switch (name) {
      case ':method':
        return request.method;
      case ':path':
        return request.path;
      case ':authority':
        return request.authority;
      case ':scheme':
        return request.scheme;
      case 'x-envoy-original-path':
        return request.get(name) ?? originalPath;
      default:
        return request.get(name);
    }
  }

  responseHeader(name: string): string | undefined {
    const response = this.#response;
    return name === ':status' ? response && String(response.status) : response?.get(name);
  }

  startMs(): number {
    const { engine, startedAt } = this.#run;
    return engine.clock.wallTime() - (engine.clock.now() - startedAt);
  }

  #answerValue(operator: PlainOperator): string | undefined {
    const run = this.#run;
    const { current } = run;
    switch (operator) {
      case 'UPSTREAM_HOST':
      case 'UPSTREAM_REMOTE_ADDRESS':
        return current?.endpoint.address;
      case 'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
        return current?.endpoint.endpoint.address;
      case 'UPSTREAM_CLUSTER':
        return current?.group.key;
      case 'RESPONSE_CODE':
        return this.#response && String(this.#response.status);
      case 'RESPONSE_FLAGS':
        return run.flags;
      case 'RESPONSE_CODE_DETAILS':
        return this.#response && run.details;
      default:
        return undefined;
    }
  }
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}
