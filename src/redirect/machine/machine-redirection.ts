/**
 * The rules and routes of ours in a machine's own network namespace. Capture stays when this process is killed: what was for the
 * mesh is refused then, and nothing else is touched. Capture of look-ups goes with the process.
 */
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '#net/netns/constants.ts';
import { type NetlinkSocket, openNetlink, withNetlink } from '#net/netns/netlink.ts';
import { ELEMENTS_PER_TRANSACTION } from '../limits.ts';
import { addElement, createSets, deleteElement } from '../nft/sets.ts';
import {
  commit,
  createChains,
  createOwnedTable,
  createTable,
  digestOf,
  encodeTransaction,
  generation,
  removeTable,
  type Step,
  type Table,
} from '../nft/transaction.ts';
import { MACHINE_ROUTE_TABLE } from '../ports.ts';
import { PROBE_TABLE } from '../probes.ts';
import {
  addReturnRoute,
  globalAddresses,
  type RouteFamily,
  removeReturnRoute,
  returnRouteOf,
} from '../routes.ts';
import {
  MACHINE_LOOKUPS_TABLE,
  MACHINE_TABLE,
  type MachineRuleOptions,
  MESH_SETS,
  machineLookupsTable,
  machineTable,
} from './rules.ts';

const FAMILIES: readonly RouteFamily[] = ['ipv4', 'ipv6'];

export class MachineRedirection {
  readonly #tables: NetlinkSocket = openNetlink(undefined, NETLINK_NETFILTER);
  #options: MachineRuleOptions | undefined = undefined;
  /** Addresses of the mesh that are captured. */
  #mesh: ReadonlySet<string> = new Set();
  #lookups = false;
  #families: readonly RouteFamily[] = [];
  /** Of the tables, right after we changed them. */
  #digest = '';
  /** Counts changes to any table of the machine; while it stands, nothing needs to be compared. */
  #generation = 0;

  /** Rules of ours are there, whoever put them there. */
  get inPlace(): boolean {
    return digestOf(this.#tables, [MACHINE_TABLE]) !== '';
  }

  /** A node proxy exempts probes here: what this machine's pods say is captured already, and the kubelet's is not to be. */
  get isNode(): boolean {
    return digestOf(this.#tables, [PROBE_TABLE]) !== '';
  }

  /**
   * Replaces whatever is there, the first addresses of the mesh included; further ones follow in transactions of a bounded
   * size.
   */
  apply(options: MachineRuleOptions, mesh: ReadonlySet<string>): void {
    // Routes first: a redirected connection whose answers have no way back would hang.
    this.#families = routes((socket) =>
      FAMILIES.filter((family) => addReturnRoute(socket, family, MACHINE_ROUTE_TABLE)),
    );
    const [makeTable, ...rest] = tableSteps(machineTable(options), createTable(MACHINE_TABLE));
    this.#commit([...removeTable(MACHINE_TABLE), makeTable, ...createSets(MESH_SETS), ...rest]);
    this.#options = options;
    this.#mesh = new Set();
    this.setMesh(mesh);
  }

  /** From now on these addresses and no others are captured. */
  setMesh(wanted: ReadonlySet<string>): void {
    const steps: Step[][] = [];
    for (const address of wanted) {
      if (!this.#mesh.has(address)) steps.push([addElement(MESH_SETS, address)]);
    }
    for (const address of this.#mesh) {
      if (!wanted.has(address)) steps.push(deleteElement(MESH_SETS, address));
    }
    for (let at = 0; at < steps.length; at += ELEMENTS_PER_TRANSACTION) {
      this.#commit(steps.slice(at, at + ELEMENTS_PER_TRANSACTION).flat());
    }
    this.#mesh = new Set(wanted);
  }

  /** Somebody must answer on DNS_PORT. Throws on kernels before 5.12, which know no table that goes with its owner. */
  captureLookups(): void {
    const table = createOwnedTable(MACHINE_LOOKUPS_TABLE);
    this.#commit(tableSteps(machineLookupsTable(), table));
    this.#lookups = true;
  }

  /** What is not as we left it, in words: a firewall that is loaded anew flushes every table. */
  differences(): string[] {
    if (this.#options === undefined) return [];
    const differences = this.#families.flatMap((family) => {
      const { rule, route } = routes((socket) =>
        returnRouteOf(socket, family, MACHINE_ROUTE_TABLE),
      );
      return [...(rule ? [] : [`${family} rule`]), ...(route ? [] : [`${family} route`])];
    });
    const now = generation(this.#tables);
    if (now === this.#generation) return differences;
    if (this.#currentDigest() === this.#digest) this.#generation = now;
    else differences.push('tables');
    return differences;
  }

  repair(): void {
    if (this.#options === undefined) return;
    const mesh = this.#mesh;
    this.apply(this.#options, mesh);
    const lookupsGone = digestOf(this.#tables, [MACHINE_LOOKUPS_TABLE]) === '';
    if (this.#lookups && lookupsGone) this.captureLookups();
  }

  /** From now on new connections and look-ups pass by; those that were redirected go on until `remove`. */
  passBy(): void {
    if (this.#options === undefined) return;
    const nothing = { sharedPorts: [], excludedPorts: [], ranges: [] };
    this.apply({ ...this.#options, ...nothing }, new Set());
    if (this.#lookups) this.#commit(removeTable(MACHINE_LOOKUPS_TABLE).slice(1));
    this.#lookups = false;
  }

  /** Nothing of ours stays on the machine. */
  remove(): void {
    this.#options = undefined;
    const lookups = this.#lookups ? removeTable(MACHINE_LOOKUPS_TABLE).slice(1) : [];
    this.#commit([...removeTable(MACHINE_TABLE), ...lookups]);
    this.#lookups = false;
    routes((socket) => {
      for (const family of FAMILIES) removeReturnRoute(socket, family, MACHINE_ROUTE_TABLE);
    });
  }

  addresses(): string[] {
    return routes(globalAddresses);
  }

  /** Capture stays, that of look-ups ends. */
  close(): void {
    this.#tables.close();
  }

  #commit(steps: readonly Step[]): void {
    commit(this.#tables, encodeTransaction(steps), 'change the redirection of this machine');
    this.#generation = generation(this.#tables);
    this.#digest = this.#currentDigest();
  }

  /** Of chains and rules: the sets' elements are not looked at. */
  #currentDigest(): string {
    return digestOf(this.#tables, [MACHINE_TABLE, MACHINE_LOOKUPS_TABLE]);
  }
}

function tableSteps(table: Table, create: Step): Step[] {
  return [create, ...createChains(table)];
}

function routes<T>(work: (socket: NetlinkSocket) => T): T {
  return withNetlink(undefined, NETLINK_ROUTE, work);
}
