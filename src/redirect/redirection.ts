/**
 * The rules and routes of ours in one pod's network namespace: puts them in place, takes them out, and looks whether
 * they are what they were. Holds the namespace's rule socket open: checks are cheap, and closing it right after a
 * change would wait for the kernel. All of it is done when a call returns.
 */
import { NETLINK_NETFILTER, NETLINK_ROUTE, ROUTE_GROUPS } from '#net/netns/constants.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import { type NetlinkSocket, openNetlink, withNetlink } from '#net/netns/netlink.ts';
import type { NetworkNamespace } from '#net/network.ts';
import {
  commit,
  createChains,
  createTable,
  digestOf,
  encodeTransaction,
  generation,
  removeTable,
  type Table,
  type Transaction,
} from './nft/transaction.ts';
import {
  addReturnRoute,
  globalAddresses,
  type RouteFamily,
  removeReturnRoute,
  returnRouteOf,
} from './routes.ts';
import { captureTables, drainTables, type RuleOptions, TABLES } from './rules.ts';

const FAMILIES: readonly RouteFamily[] = ['ipv4', 'ipv6'];

/** The same options make the same bytes for every pod. */
const transactions = new Map<string, Transaction>();

export class Redirection {
  readonly #namespace: NetworkNamespace;
  readonly #tables: NetlinkSocket;
  /** Hears of routes and policy rules. */
  readonly #routing: NetlinkSocket;
  #missingRoutes: readonly string[] = [];
  /** Of the tables, right after we changed them. */
  #digest = '';
  /** Counts changes to any table of the namespace; while it stands, nothing needs to be compared. */
  #generation = 0;
  /** Whose return route we put in place. */
  #families: readonly RouteFamily[] = [];

  constructor(namespace: NetworkNamespace) {
    this.#namespace = namespace;
    this.#tables = openNetlink(namespace, NETLINK_NETFILTER);
    try {
      this.#routing = openNetlink(namespace, NETLINK_ROUTE, Object.values(ROUTE_GROUPS));
    } catch (error) {
      this.#tables.close();
      throw error;
    }
  }

  /** Rules of ours are there, whoever put them there. */
  get inPlace(): boolean {
    return digestOf(this.#tables, TABLES) !== '';
  }

  /** Replaces whatever rules of ours are there, in one transaction: applying twice leaves one set. */
  apply(options: RuleOptions): void {
    // Routes first: a redirected connection whose answers have no way back would hang.
    this.#families = this.#routes((socket) =>
      FAMILIES.filter((family) => addReturnRoute(socket, family)),
    );
    this.#missingRoutes = [];
    this.#replace(transactionFor(JSON.stringify(options), () => captureTables(options)));
  }

  /** From now on new connections pass by; those that were redirected go on until `remove`. */
  drain(): void {
    this.#replace(transactionFor('drain', drainTables));
  }

  remove(): void {
    this.#replace(transactionFor('none', () => []));
    this.#routes((socket) => {
      for (const family of FAMILIES) removeReturnRoute(socket, family);
    });
    this.#families = [];
  }

  /** What is not as we left it, in words; empty when all is. */
  differences(): string[] {
    const differences: string[] = [];
    const now = generation(this.#tables);
    if (now !== this.#generation) {
      if (digestOf(this.#tables, TABLES) === this.#digest) this.#generation = now;
      else differences.push('tables');
    }
    if (this.#routing.changed())
      this.#missingRoutes = this.#routes((socket) => this.#missing(socket));
    return [...differences, ...this.#missingRoutes];
  }

  #missing(socket: NetlinkSocket): string[] {
    return this.#families.flatMap((family) => {
      const { rule, route } = returnRouteOf(socket, family);
      return [...(rule ? [] : [`${family} rule`]), ...(route ? [] : [`${family} route`])];
    });
  }

  /** The addresses of the pod: its status may not have them yet. */
  addresses(): string[] {
    return this.#routes(globalAddresses);
  }

  /** The rules stay. */
  close(): void {
    this.#tables.close();
    this.#routing.close();
  }

  #replace(transaction: Transaction): void {
    commit(this.#tables, transaction, 'change redirection');
    this.#generation = generation(this.#tables);
    this.#digest = digestOf(this.#tables, TABLES);
  }

  #routes<T>(work: (socket: NetlinkSocket) => T): T {
    return withNetlink(this.#namespace, NETLINK_ROUTE, work);
  }
}

/** For namespaces that nobody watches afterwards; `path` is /run/netns/NAME. */
export function redirectOnce(path: string, options: RuleOptions): void {
  const namespace = openNamespace(path);
  try {
    const redirection = new Redirection(namespace);
    redirection.apply(options);
    redirection.close();
  } finally {
    namespace.close();
  }
}

function transactionFor(key: string, tables: () => Table[]): Transaction {
  let transaction = transactions.get(key);
  if (transaction === undefined) {
    const wanted = tables();
    transaction = encodeTransaction([
      ...TABLES.flatMap(removeTable),
      ...wanted.map(({ name }) => createTable(name)),
      ...wanted.flatMap(createChains),
    ]);
    transactions.set(key, transaction);
  }
  return transaction;
}
