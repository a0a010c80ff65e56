/** istio.security.Authorization: an L4 policy between its wire form and the model. */
import { formatIp, parseIp } from '#base/ip.ts';
import type {
  AddressRange,
  Authorization,
  AuthorizationMatch,
  StringMatch,
} from '#model/authorization/authorization.ts';
import {
  type AddressRangeMessage,
  AuthorizationMessage,
  MatchMessage,
  StringMatchMessage,
} from '#wire/protobuf/authorization.ts';
import type { Decoded, ResourceType } from './resource-type.ts';

const SCOPES = {
  global: 'GLOBAL',
  namespace: 'NAMESPACE',
  'workload-selector': 'WORKLOAD_SELECTOR',
} as const;
const SCOPE_OF = {
  GLOBAL: 'global',
  NAMESPACE: 'namespace',
  WORKLOAD_SELECTOR: 'workload-selector',
} as const;

/** Caught by `decode`: the message is the reason. */
class AuthorizationReject extends Error {}

export const AUTHORIZATION: ResourceType<Authorization> = {
  typeUrl: 'type.googleapis.com/istio.security.Authorization',
  name: ({ namespace, name }) => `${namespace}/${name}`,
  encode({ name, namespace, scope, action, rules, dryRun }) {
    return AuthorizationMessage.encode({
      name,
      namespace,
      scope: SCOPES[scope],
      action: action === 'deny' ? 'DENY' : 'ALLOW',
      rules: rules.map(({ clauses }) => ({
        clauses: clauses.map((matches) => ({ matches: matches.map(encodeMatch) })),
      })),
      dry_run: dryRun,
      extensions: [],
    });
  },
  decode(bytes): Decoded<Authorization> {
    const wire = AuthorizationMessage.decode(bytes);
    if (typeof wire === 'string') return { reason: wire };
    if (wire.name === '') return { reason: 'authorization without name' };
    try {
      return {
        value: {
          name: wire.name,
          namespace: wire.namespace,
          scope: SCOPE_OF[wire.scope],
          action: wire.action === 'DENY' ? 'deny' : 'allow',
          rules: wire.rules.map(({ clauses }) => ({
            clauses: clauses.map(({ matches }) => matches.map(decodeMatch)),
          })),
          dryRun: wire.dry_run,
        },
      };
    } catch (error) {
      if (error instanceof AuthorizationReject) return { reason: error.message };
      throw error;
    }
  },
  aliases: () => [],
};

function encodeMatch(match: AuthorizationMatch): MatchMessage {
  return MatchMessage.create({
    namespaces: match.namespaces.map(encodeString),
    not_namespaces: match.notNamespaces.map(encodeString),
    principals: match.principals.map(encodeString),
    not_principals: match.notPrincipals.map(encodeString),
    source_ips: match.sourceIps.map(encodeRange),
    not_source_ips: match.notSourceIps.map(encodeRange),
    destination_ips: match.destinationIps.map(encodeRange),
    not_destination_ips: match.notDestinationIps.map(encodeRange),
    destination_ports: [...match.destinationPorts],
    not_destination_ports: [...match.notDestinationPorts],
    service_accounts: [...match.serviceAccounts],
    not_service_accounts: [...match.notServiceAccounts],
  });
}

function decodeMatch(wire: MatchMessage): AuthorizationMatch {
  return {
    namespaces: wire.namespaces.map(decodeString),
    notNamespaces: wire.not_namespaces.map(decodeString),
    principals: wire.principals.map(decodeString),
    notPrincipals: wire.not_principals.map(decodeString),
    sourceIps: wire.source_ips.map(decodeRange),
    notSourceIps: wire.not_source_ips.map(decodeRange),
    destinationIps: wire.destination_ips.map(decodeRange),
    notDestinationIps: wire.not_destination_ips.map(decodeRange),
    destinationPorts: wire.destination_ports,
    notDestinationPorts: wire.not_destination_ports,
    serviceAccounts: wire.service_accounts,
    notServiceAccounts: wire.not_service_accounts,
  };
}

function encodeString(match: StringMatch): StringMatchMessage {
  return match.kind === 'presence'
    ? StringMatchMessage.create({ presence: {} })
    : StringMatchMessage.create({ [match.kind]: match.value });
}

function decodeString(wire: StringMatchMessage): StringMatch {
  for (const kind of ['exact', 'prefix', 'suffix'] as const) {
    const value = wire[kind];
    if (value !== undefined) return { kind, value };
  }
  if (wire.presence !== undefined) return { kind: 'presence' };
  // A match of a kind that we do not know must not turn into one that matches more or less.
  throw new AuthorizationReject('string match of an unknown kind');
}

function encodeRange({ address, length }: AddressRange): AddressRangeMessage {
  return { address: parseIp(address) ?? new Uint8Array(), length };
}

function decodeRange(wire: AddressRangeMessage): AddressRange {
  const address = formatIp(wire.address);
  if (address === undefined || wire.length > wire.address.length * 8) {
    throw new AuthorizationReject(`range of ${wire.address.length} bytes / ${wire.length} bits`);
  }
  return { address, length: wire.length };
}
