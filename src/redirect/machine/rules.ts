/**
 * The tables of a machine that joined the mesh. A machine is not a pod: it has other traffic, and somebody may sit far away from
 * it. So nothing is touched but what is named: connections to the shared ports at its own addresses, connections to
 * addresses of the mesh, look-ups. Pure.
 */
import type { Cidr } from '#base/cidr.ts';
import * as nft from '../nft/expressions.ts';
import type { AddressSets } from '../nft/sets.ts';
import type { Hook, Table } from '../nft/transaction.ts';
import { INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from '../ports.ts';
import {
  LOOPBACK,
  lookupRules,
  lookupZoneChains,
  NAT_PRIORITY,
  notOurs,
  RETURN,
  type Rule,
  returnChains,
} from '../rules.ts';

export interface MachineRuleOptions {
  /** The machine's, as the mesh knows them. */
  readonly addresses: readonly string[];
  /** What it shares with the mesh: plaintext that comes there is judged. */
  readonly sharedPorts: readonly number[];
  /** Destination ports that are left alone, wherever they lead. */
  readonly excludedPorts: readonly number[];
  /** Destinations in the mesh that are no single address. */
  readonly ranges: readonly Cidr[];
}

export const MACHINE_TABLE = 'tulle-machine';
/** Apart: it goes with our process, so that a machine is never without names. */
export const MACHINE_LOOKUPS_TABLE = 'tulle-machine-lookups';
export const MESH_SETS: AddressSets = { table: MACHINE_TABLE, ipv4: 'mesh4', ipv6: 'mesh6' };

const nat = (point: Hook['point']): Hook => ({ type: 'nat', point, priority: NAT_PRIORITY });

export function machineTable(options: MachineRuleOptions): Table {
  return {
    name: MACHINE_TABLE,
    chains: [
      { name: 'inbound', hook: nat('prerouting'), rules: inboundRules(options) },
      { name: 'outbound', hook: nat('output'), rules: outboundRules(options) },
      ...returnChains(),
    ],
  };
}

export function machineLookupsTable(): Table {
  return {
    name: MACHINE_LOOKUPS_TABLE,
    chains: [{ name: 'lookups', hook: nat('output'), rules: lookupRules() }, ...lookupZoneChains()],
  };
}

function inboundRules({ addresses, sharedPorts }: MachineRuleOptions): Rule[] {
  return addresses.flatMap((address) =>
    sharedPorts.map((port) => [
      ...nft.address('destination', '==', address),
      ...nft.opening,
      ...nft.port('destination', '==', port),
      ...notOurs,
      ...nft.redirectTo(INBOUND_PLAINTEXT_PORT),
    ]),
  );
}

function outboundRules({ addresses, excludedPorts, ranges }: MachineRuleOptions): Rule[] {
  const captured = [...nft.opening, ...notOurs, ...nft.redirectTo(OUTBOUND_PORT)];
  return [
    // The app's answers to connections that the proxy opened.
    [...nft.tcp, ...nft.mark('packet', '==', RETURN), nft.accept],
    ...[...LOOPBACK, ...addresses].map((own) => [
      ...nft.address('destination', '==', own),
      nft.accept,
    ]),
    ...excludedPorts.map((port) => [
      ...nft.tcp,
      ...nft.port('destination', '==', port),
      nft.accept,
    ]),
    [...nft.destinationIn(MESH_SETS.ipv4, 'ipv4'), ...captured],
    [...nft.destinationIn(MESH_SETS.ipv6, 'ipv6'), ...captured],
    ...ranges.map(({ network, length }) => [
      ...nft.destinationWithin(network, length),
      ...captured,
    ]),
  ];
}
