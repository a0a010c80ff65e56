/** Sets of addresses inside a table, as steps of a transaction. */
import { isIpv6, parseIp } from '#base/ip.ts';
import { NLM_F_CREATE } from '#net/netns/constants.ts';
import { type Attribute, network32, textBytes } from '#net/netns/netlink-codec.ts';
import * as abi from './constants.ts';
import type { IpFamily } from './expressions.ts';
import type { Step } from './transaction.ts';

/** One family each: a set has keys of one length. */
export interface AddressSets {
  readonly table: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

const FAMILIES: readonly IpFamily[] = ['ipv4', 'ipv6'];

export function createSets({ table, ...names }: AddressSets): Step[] {
  return FAMILIES.map((family, index) => ({
    type: abi.NEW_SET,
    attributes: [
      [abi.SET.table, textBytes(table)],
      [abi.SET.name, textBytes(names[family])],
      [abi.SET.keyType, network32(family === 'ipv6' ? abi.KEY_IPV6 : abi.KEY_IPV4)],
      [abi.SET.keyLength, network32(family === 'ipv6' ? 16 : 4)],
      [abi.SET.id, network32(index + 1)],
    ],
  }));
}

export function flushSets(sets: AddressSets): Step[] {
  return FAMILIES.map((family) => ({
    type: abi.DELETE_ELEMENTS,
    flags: 0,
    attributes: setNamed(sets.table, sets[family]),
  }));
}

export function addElement(sets: AddressSets, address: string): Step {
  return { ...elementStep(sets, address), type: abi.NEW_ELEMENTS, flags: NLM_F_CREATE };
}

/** Created first: deleting an element that is not there is an error. */
export function deleteElement(sets: AddressSets, address: string): Step[] {
  const step = elementStep(sets, address);
  return [addElement(sets, address), { ...step, type: abi.DELETE_ELEMENTS, flags: 0 }];
}

export function setNamed(table: string, set: string): Attribute[] {
  return [
    [abi.ELEMENTS.table, textBytes(table)],
    [abi.ELEMENTS.set, textBytes(set)],
  ];
}

function elementStep(sets: AddressSets, address: string): Pick<Step, 'attributes'> {
  const bytes = parseIp(address) ?? new Uint8Array();
  const key: Attribute = [abi.ELEMENT_KEY, [[abi.DATA.value, bytes]]];
  const list: Attribute = [abi.ELEMENTS.list, [[abi.LIST_ELEMENT, [key]]]];
  const set = isIpv6(address) ? sets.ipv6 : sets.ipv4;
  return { attributes: [...setNamed(sets.table, set), list] };
}
