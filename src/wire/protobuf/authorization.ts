/** istio.security: L4 authorization as istiod sends it to ztunnel. Levels are named as ztunnel names them. */
import {
  bool,
  bytes,
  enumeration,
  field,
  type MessageType,
  message,
  optional,
  repeated,
  string,
  uint32,
} from './message.ts';
import { Empty } from './well-known.ts';
import { Extension } from './workload.ts';

const Scope = enumeration('Scope', ['GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR']);
const Action = enumeration('Action', ['ALLOW', 'DENY']);

export const StringMatchMessage = message('istio.security.StringMatch', {
  exact: optional(1, string, 'match_type'),
  prefix: optional(2, string, 'match_type'),
  suffix: optional(3, string, 'match_type'),
  presence: optional(4, Empty, 'match_type'),
});
export type StringMatchMessage = MessageType<typeof StringMatchMessage>;

export const AddressRangeMessage = message('istio.security.Address', {
  address: field(1, bytes),
  length: field(2, uint32),
});
export type AddressRangeMessage = MessageType<typeof AddressRangeMessage>;

export const ServiceAccountMatchMessage = message('istio.security.ServiceAccountMatch', {
  namespace: field(1, string),
  serviceAccount: field(2, string),
});

export const MatchMessage = message('istio.security.Match', {
  namespaces: repeated(1, StringMatchMessage),
  not_namespaces: repeated(2, StringMatchMessage),
  principals: repeated(3, StringMatchMessage),
  not_principals: repeated(4, StringMatchMessage),
  source_ips: repeated(5, AddressRangeMessage),
  not_source_ips: repeated(6, AddressRangeMessage),
  destination_ips: repeated(7, AddressRangeMessage),
  not_destination_ips: repeated(8, AddressRangeMessage),
  destination_ports: repeated(9, uint32),
  not_destination_ports: repeated(10, uint32),
  service_accounts: repeated(11, ServiceAccountMatchMessage),
  not_service_accounts: repeated(12, ServiceAccountMatchMessage),
  extensions: repeated(13, Extension),
});
export type MatchMessage = MessageType<typeof MatchMessage>;

/** Field 1 is unused. */
export const ClauseMessage = message('istio.security.Clause', {
  matches: repeated(2, MatchMessage),
});

export const RuleMessage = message('istio.security.Rule', { clauses: repeated(1, ClauseMessage) });

export const AuthorizationMessage = message('istio.security.Authorization', {
  name: field(1, string),
  namespace: field(2, string),
  scope: field(3, Scope),
  action: field(4, Action),
  rules: repeated(5, RuleMessage),
  dry_run: field(6, bool),
  extensions: repeated(7, Extension),
});
