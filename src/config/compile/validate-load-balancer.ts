/** What is wrong with a loadBalancer block (Istio: validateLoadBalancer, ValidateLocalityLbSetting, ValidateZoneAwareLbSetting). */
import type {
  ConsistentHashSpec,
  LoadBalancerSpec,
  LocalitySettingSpec,
  ZoneAwareSpec,
} from './destination-rule-kinds.ts';
import type { Findings } from './finding.ts';
import { localitiesProblem } from './locality-names.ts';
import { checkedDuration } from './scalars.ts';

const MAGLEV_SIZE_END = 5_000_011;
const TOPOLOGY_LABELS: ReadonlySet<string> = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]);

export function checkLoadBalancer(
  spec: LoadBalancerSpec | undefined,
  path: string,
  { findings, hasOutlier }: { findings: Findings; hasOutlier: boolean },
): void {
  if (!spec) return;
  const { consistentHash, localityLbSetting, zoneAwareLbSetting, warmup } = spec;
  if (consistentHash) checkHash(consistentHash, `${path}.consistentHash`, findings);
  if (localityLbSetting && zoneAwareLbSetting)
    findings.invalid(path, 'only one of localityLbSetting and zoneAwareLbSetting can be set');
  if (localityLbSetting) checkLocality(localityLbSetting, `${path}.localityLbSetting`, findings);
  if (zoneAwareLbSetting)
    checkZoneAware(zoneAwareLbSetting, `${path}.zoneAwareLbSetting`, findings);
  for (const [name, setting] of Object.entries({ localityLbSetting, zoneAwareLbSetting }))
    if ((setting?.failover?.length || setting?.failoverPriority?.length) && !hasOutlier)
      findings.ineffective(`${path}.${name}`, 'failover needs outlierDetection to see a failure');
  if (spec.warmupDurationSecs) findings.deprecated(`${path}.warmupDurationSecs`, 'warmup.duration');
  if (!warmup) return;
  if (!warmup.duration) findings.invalid(`${path}.warmup.duration`, 'a duration is required');
  else checkedDuration(warmup.duration, `${path}.warmup.duration`, findings);
  if ((warmup.minimumPercent ?? 0) > 100)
    findings.invalid(`${path}.warmup.minimumPercent`, `${warmup.minimumPercent} is above 100`);
  if (warmup.aggression !== undefined && warmup.aggression <= 0)
    findings.invalid(`${path}.warmup.aggression`, `${warmup.aggression} is not above 0`);
}

function checkHash(spec: ConsistentHashSpec, path: string, findings: Findings): void {
  const { httpCookie, maglev, ringHash, minimumRingSize } = spec;
  if (httpCookie) {
    if (!httpCookie.name) findings.invalid(`${path}.httpCookie.name`, 'a name is required');
    const seen = new Set<string>();
    for (const [at, { name = '' }] of (httpCookie.attributes ?? []).entries()) {
      const here = `${path}.httpCookie.attributes[${at}].name`;
      if (name === '') findings.invalid(here, 'a name is required');
      else if (seen.has(name)) findings.invalid(here, `the attribute ${name} is given twice`);
      seen.add(name);
    }
  }
  const size = Number(minimumRingSize ?? 0);
  if (size !== 0) findings.deprecated(`${path}.minimumRingSize`, 'ringHash.minimumRingSize');
  if (size !== 0 && (maglev || ringHash))
    findings.invalid(path, 'only one of minimumRingSize, ringHash and maglev can be set');
  if (maglev) {
    const slots = Number(maglev.tableSize ?? 0);
    if (slots >= MAGLEV_SIZE_END || !isPrime(slots))
      findings.invalid(
        `${path}.maglev.tableSize`,
        `${slots} is no prime number below ${MAGLEV_SIZE_END}`,
      );
  }
}

function checkLocality(spec: LocalitySettingSpec, path: string, findings: Findings): void {
  const { distribute = [], failover = [], failoverPriority = [] } = spec;
  if (distribute.length > 0 && failover.length > 0) {
    findings.invalid(path, 'distribute and failover exclude each other');
    return;
  }
  const topology = failoverPriority.find((label) => TOPOLOGY_LABELS.has(label));
  if (failover.length > 0 && topology !== undefined)
    findings.invalid(
      `${path}.failoverPriority`,
      `failover and the label ${topology} exclude each other`,
    );
  for (const [at, { to = {} }] of distribute.entries()) {
    const here = `${path}.distribute[${at}].to`;
    const weights = Object.values(to);
    if (weights.some((weight) => !(weight > 0 && weight <= 100)))
      findings.invalid(here, 'each weight must be within 1 to 100');
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (total !== 100) findings.invalid(here, `the weights sum to ${total}, not to 100`);
    findings.check(here, localitiesProblem(Object.keys(to)));
  }
  const sources = distribute.map(({ from = '' }) => from);
  findings.check(`${path}.distribute`, localitiesProblem(sources));
  checkFailover(failover, path, findings);
}

function checkZoneAware(spec: ZoneAwareSpec, path: string, findings: Findings): void {
  const topology = spec.failoverPriority?.find((label) => TOPOLOGY_LABELS.has(label));
  if (topology !== undefined)
    findings.invalid(
      `${path}.failoverPriority`,
      `the label ${topology} has no place here: regions and zones are seen to by themselves`,
    );
  checkFailover(spec.failover ?? [], path, findings);
}

function checkFailover(
  failover: readonly { from?: string; to?: string }[],
  path: string,
  findings: Findings,
): void {
  for (const [at, { from = '', to = '' }] of failover.entries()) {
    const here = `${path}.failover[${at}]`;
    if (from === to) findings.invalid(here, 'from and to must be different regions');
    if (/\//.test(from + to)) findings.invalid(here, 'only regions can be named');
    if (/\*/.test(from + to)) findings.invalid(here, 'a region cannot contain *');
  }
}

/** Envoy's rule, which takes 1 for a prime. */
function isPrime(value: number): boolean {
  if (!Number.isInteger(value) || value < 1) return false;
  if (value < 4) return true;
  if (value % 2 === 0) return false;
  for (let factor = 3; factor * factor <= value; factor += 2)
    if (value % factor === 0) return false;
  return true;
}
