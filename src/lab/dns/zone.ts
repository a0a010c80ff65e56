/**
 * The lab's zone, cluster.local, by Kubernetes' DNS specification: services, headless endpoints, named ports (SRV),
 * pods, and reverse names. Pure: a question and the objects in, records out.
 */
import type { EndpointSlice, Service } from '#kube/client/kinds.ts';
import { CLASS_IN, TYPE } from '#wire/dns/codes.ts';
import type { Question, ResourceRecord } from '#wire/dns/message.ts';
import { SERVICE_NAME } from '../controllers/endpoint-plan.ts';
import { DNS_ALIASES_MAX, DNS_TTL_SECONDS } from '../limits.ts';
import { CLUSTER_DOMAIN } from '../topology/addresses.ts';

export interface ZoneObjects {
  service(namespace: string, name: string): Service | undefined;
  services(): readonly Service[];
  slices(namespace: string, service: string): readonly EndpointSlice[];
  hasNamespace(name: string): boolean;
}

export interface ZoneAnswer {
  /** False: the name does not exist (NXDOMAIN). True with no records: it exists without that type. */
  exists: boolean;
  answers: ResourceRecord[];
  additionals: ResourceRecord[];
}

const NOTHING: ZoneAnswer = { exists: false, answers: [], additionals: [] };
const EMPTY: ZoneAnswer = { exists: true, answers: [], additionals: [] };
const REVERSE = '.in-addr.arpa';
const ZONES = [CLUSTER_DOMAIN, 'localhost', `18.198${REVERSE}`, `19.198${REVERSE}`];

/** Undefined when the name is not in a zone of ours. `aliases` were followed on the way here. */
export function answerFromZone(
  question: Question,
  objects: ZoneObjects,
  aliases = 0,
): ZoneAnswer | undefined {
  const name = question.name.toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost'))
    return addressAnswer(question, ['127.0.0.1']);
  if (name.endsWith(REVERSE)) return reverse(question, name.slice(0, -REVERSE.length), objects);
  if (name === CLUSTER_DOMAIN) return EMPTY;
  if (!name.endsWith(`.${CLUSTER_DOMAIN}`)) return undefined;
  const labels = name.slice(0, -CLUSTER_DOMAIN.length - 1).split('.');
  const kind = labels.pop();
  if (kind === 'svc') return serviceName(question, labels, { objects, aliases });
  if (kind === 'pod') return podName(question, labels, objects);
  return NOTHING;
}

/**
 * The zone in which there is nothing of what was asked for, at the name or at the end of its aliases; undefined when there is
 * something, or when that is for another server to say.
 */
export function negativeZone(
  { name, type }: Question,
  answers: readonly ResourceRecord[],
): string | undefined {
  const value = answers.at(-1)?.value;
  if (value === undefined) return zoneOf(name);
  const isWhole = answers.at(-1)?.type !== TYPE.CNAME || type === TYPE.CNAME || type === TYPE.ANY;
  return isWhole || value.kind !== 'name' ? undefined : zoneOf(value.name);
}

/** Of the zones that are answered here. */
function zoneOf(name: string): string | undefined {
  const lower = name.toLowerCase();
  return ZONES.find((zone) => lower === zone || lower.endsWith(`.${zone}`));
}

interface Member {
  address: string;
  /** First label of the endpoint's own name. */
  label: string;
}

function serviceName(
  question: Question,
  labels: string[],
  { objects, aliases }: { objects: ZoneObjects; aliases: number },
): ZoneAnswer {
  const namespace = labels.pop();
  if (namespace === undefined) return EMPTY;
  const name = labels.pop();
  if (name === undefined) return objects.hasNamespace(namespace) ? EMPTY : NOTHING;
  const service = objects.service(namespace, name);
  if (service === undefined) return NOTHING;
  const whole = `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
  if (service.spec.type === 'ExternalName')
    return aliasAnswer(question, service.spec.externalName ?? '', { objects, aliases });
  const slices = objects.slices(namespace, name);
  if (labels.length === 2 && labels[0].startsWith('_') && labels[1].startsWith('_'))
    return portAnswer(question, {
      service,
      slices,
      whole,
      port: labels[0].slice(1),
      protocol: labels[1].slice(1),
    });
  if (labels.length === 0) {
    const { clusterIP } = service.spec;
    if (clusterIP !== undefined && clusterIP !== 'None' && clusterIP !== '')
      return addressAnswer(question, [clusterIP]);
    return addressAnswer(
      question,
      members(slices).map(({ address }) => address),
    );
  }
  if (labels.length > 1) return NOTHING;
  const own = members(slices).filter(({ label }) => label === labels[0]);
  return own.length === 0
    ? NOTHING
    : addressAnswer(
        question,
        own.map(({ address }) => address),
      );
}

function members(slices: readonly EndpointSlice[]): Member[] {
  const found = new Map<string, Member>();
  for (const { endpoints } of slices)
    for (const endpoint of endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      for (const address of endpoint.addresses)
        found.set(address, { address, label: endpoint.hostname ?? address.replaceAll('.', '-') });
    }
  return [...found.values()];
}

interface PortQuestion {
  service: Service;
  slices: readonly EndpointSlice[];
  whole: string;
  port: string;
  protocol: string;
}

function portAnswer(
  question: Question,
  { service, slices, whole, port, protocol }: PortQuestion,
): ZoneAnswer {
  const matches = (entry: { name?: string; protocol?: string }) =>
    entry.name === port && (entry.protocol ?? 'TCP').toLowerCase() === protocol;
  const servicePort = service.spec.ports?.find(matches);
  if (servicePort === undefined) return NOTHING;
  if (question.type !== TYPE.SRV && question.type !== TYPE.ANY) return EMPTY;
  const answers: ResourceRecord[] = [];
  const additionals: ResourceRecord[] = [];
  const add = (target: string, number: number, address: string) => {
    answers.push(
      record(question.name, TYPE.SRV, {
        kind: 'service',
        priority: 0,
        weight: 100,
        port: number,
        target,
      }),
    );
    additionals.push(record(target, TYPE.A, { kind: 'address', address }));
  };
  const { clusterIP } = service.spec;
  if (clusterIP !== undefined && clusterIP !== 'None') {
    add(whole, servicePort.port, clusterIP);
    return { exists: true, answers, additionals };
  }
  for (const slice of slices) {
    const number = slice.ports?.find(matches)?.port;
    if (number === undefined) continue;
    for (const { address, label } of members([slice])) add(`${label}.${whole}`, number, address);
  }
  return { exists: true, answers, additionals };
}

/** `1-2-3-4.ns.pod.cluster.local`: the address is in the name. */
function podName(question: Question, labels: string[], objects: ZoneObjects): ZoneAnswer {
  const [address, namespace, ...rest] = labels;
  if (namespace === undefined)
    return address === undefined || objects.hasNamespace(address) ? EMPTY : NOTHING;
  const isAddress =
    /^\d{1,3}(-\d{1,3}){3}$/.test(address) &&
    address.split('-').every((part) => Number(part) < 256);
  if (rest.length > 0 || !isAddress || !objects.hasNamespace(namespace)) return NOTHING;
  return addressAnswer(question, [address.replaceAll('-', '.')]);
}

function reverse(question: Question, text: string, objects: ZoneObjects): ZoneAnswer | undefined {
  const parts = text.split('.');
  // Only the lab's own range is ours to answer.
  if (!/^(18|19)$/.test(parts.at(-2) ?? '') || parts.at(-1) !== '198') return undefined;
  const address = parts.toReversed().join('.');
  for (const service of objects.services()) {
    const { namespace = '', name } = service.metadata;
    const whole = `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
    if (service.spec.clusterIP === address) return pointerAnswer(question, whole);
    if (service.spec.clusterIP !== 'None') continue;
    const member = members(objects.slices(namespace, name)).find(
      (entry) => entry.address === address,
    );
    if (member !== undefined) return pointerAnswer(question, `${member.label}.${whole}`);
  }
  return NOTHING;
}

function addressAnswer(question: Question, addresses: readonly string[]): ZoneAnswer {
  if (question.type !== TYPE.A && question.type !== TYPE.ANY) return EMPTY;
  const answers = addresses.map((address) =>
    record(question.name, TYPE.A, { kind: 'address', address }),
  );
  return { exists: true, answers, additionals: [] };
}

/** An alias within the zone comes with what it stands for: resolvers of C libraries do not ask again. */
function aliasAnswer(
  question: Question,
  target: string,
  { objects, aliases }: { objects: ZoneObjects; aliases: number },
): ZoneAnswer {
  if (target === '') return EMPTY;
  const name = target.replace(/\.$/, '');
  const alias = record(question.name, TYPE.CNAME, { kind: 'name', name });
  const isFollowed = question.type !== TYPE.CNAME && aliases < DNS_ALIASES_MAX;
  const found = isFollowed
    ? answerFromZone({ ...question, name }, objects, aliases + 1)
    : undefined;
  return { exists: true, answers: [alias, ...(found?.answers ?? [])], additionals: [] };
}

function pointerAnswer(question: Question, name: string): ZoneAnswer {
  if (question.type !== TYPE.PTR && question.type !== TYPE.ANY) return EMPTY;
  return {
    exists: true,
    answers: [record(question.name, TYPE.PTR, { kind: 'name', name })],
    additionals: [],
  };
}

function record(name: string, type: number, value: ResourceRecord['value']): ResourceRecord {
  return { name, type, class: CLASS_IN, ttlSeconds: DNS_TTL_SECONDS, value };
}

/** The slices of one service; the label is what joins them. */
export function slicesOfService(slices: readonly EndpointSlice[], name: string): EndpointSlice[] {
  return slices.filter(({ metadata }) => metadata.labels?.[SERVICE_NAME] === name);
}
