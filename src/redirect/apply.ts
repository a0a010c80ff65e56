/** Puts the rules into a pod's network namespace, takes them out, and looks whether they are there. */
import { MeshError, messageOf } from '#base/errors.ts';
import { REDIRECT_ERRORS } from './errors.ts';
import { COMMAND_TIMEOUT_MS } from './ports.ts';
import { exempts, PROBE_TABLE, type ProbeChange, podAddresses, probeScript } from './probes.ts';
import {
  MANGLE_TABLE,
  NAT_TABLE,
  nftRemovalScript,
  nftScript,
  type RuleOptions,
  routeRemovalScript,
  routeScript,
} from './rules.ts';

/** `namespacePath` is the pod's network namespace, e.g. /run/netns/UID. */
export async function applyRedirection(namespacePath: string, options: RuleOptions): Promise<void> {
  const script = `nft -f - <<'RULES' || exit 1\n${nftScript(options)}\nRULES\n${routeScript()}\n`;
  await runInside(namespacePath, script, 'put redirection in place');
}

export async function removeRedirection(namespacePath: string): Promise<void> {
  const script = `nft -f - <<'RULES' || exit 1\n${nftRemovalScript()}\nRULES\n${routeRemovalScript()}\n`;
  await runInside(namespacePath, script, 'remove redirection');
}

export async function isRedirected(namespacePath: string): Promise<boolean> {
  const script = `nft list table inet ${NAT_TABLE} >/dev/null 2>&1 && nft list table inet ${MANGLE_TABLE} >/dev/null 2>&1 && echo yes || echo no`;
  const output = await runInside(namespacePath, script, 'look at redirection');
  return output.trim() === 'yes';
}

/**
 * Lets the probes of this node's kubelet pass the capture of a pod, or no longer. Runs in the network namespace
 * of this process, which is the node's.
 */
export async function exemptProbes(
  addresses: readonly string[],
  change: ProbeChange,
): Promise<void> {
  if (addresses.length === 0 && change !== 'replace') return;
  const script = `nft -f - <<'RULES'\n${probeScript(addresses, change)}\nRULES\n`;
  await runShell(['sh', '-c', script], { place: 'the node', what: 'exempt probes' });
}

export async function areProbesExempt(addresses: readonly string[]): Promise<boolean> {
  const script = `nft list table inet ${PROBE_TABLE} 2>/dev/null || true`;
  const listing = await runShell(['sh', '-c', script], {
    place: 'the node',
    what: 'look at probes',
  });
  return exempts(listing, addresses);
}

/** The addresses of a pod, from its own namespace: its status may not have them yet. */
export async function addressesInside(namespacePath: string): Promise<string[]> {
  const script = 'ip -o addr show scope global';
  return podAddresses(await runInside(namespacePath, script, 'list the addresses'));
}

function runInside(namespacePath: string, script: string, what: string): Promise<string> {
  const command = ['nsenter', `--net=${namespacePath}`, 'sh', '-c', script];
  return runShell(command, { place: namespacePath, what });
}

async function runShell(
  command: string[],
  { place, what }: { place: string; what: string },
): Promise<string> {
  requireTools();
  const child = Bun.spawn(command, {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: COMMAND_TIMEOUT_MS,
  });
  const [output, complaint, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]).catch((cause: unknown) => {
    throw failed(what, place, messageOf(cause));
  });
  if (status !== 0) throw failed(what, place, complaint.trim() || `exit status ${status}`);
  return output;
}

function requireTools(): void {
  for (const [tool, code] of [
    ['nft', 'REDIRECT_NFT_MISSING'],
    ['ip', 'REDIRECT_IP_MISSING'],
    ['nsenter', 'REDIRECT_NSENTER_MISSING'],
  ] as const) {
    if (Bun.which(tool) !== null) continue;
    throw new MeshError(code, `the program ${tool} is missing`, {
      side: 'self',
      hint: REDIRECT_ERRORS[code],
    });
  }
}

function failed(what: string, place: string, why: string): MeshError {
  return new MeshError('REDIRECT_FAILED', `cannot ${what} in ${place}: ${why}`, {
    side: 'self',
    hint: REDIRECT_ERRORS.REDIRECT_FAILED,
  });
}
