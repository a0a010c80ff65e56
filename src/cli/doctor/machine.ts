/** Can this machine run the lab? Pure: from what was seen of the machine to what is wrong with it. */
import { compareVersions } from '#install/crds/versions.ts';
import { type Diagnosis, diagnosis, type Finding, fine, wrong } from './finding.ts';
import { KERNEL_MIGRATES, KERNEL_MIN, LAB_DISK_MIB, LAB_MEMORY_MIB, OPEN_FILES } from './limits.ts';

/** A refusal with its remedy. */
export interface Refusal {
  readonly message: string;
  readonly hint: string;
}

export interface MachineFacts {
  readonly system: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly noTools: Refusal | undefined;
  readonly noNamespaces: Refusal | undefined;
  /** What ip and nft said when the lab's parts were tried in a namespace; undefined: all went well. */
  readonly noNetwork: string | undefined;
  /** Of the console. Undefined: free. */
  readonly port: { readonly number: number; readonly takenBy: 'lab' | 'other' | undefined };
  /** What may still be taken, also of the limit of our cgroup. */
  readonly memoryMiB: number;
  readonly processors: number;
  readonly openFiles: number;
  readonly state: {
    readonly directory: string;
    readonly freeMiB: number;
    readonly failure?: string;
  };
  readonly hasKubectl: boolean;
}

const ARCHITECTURES = ['x64', 'arm64'];

export function judgeMachine(facts: MachineFacts): Diagnosis {
  const { system, noTools, noNamespaces, noNetwork } = facts;
  if (system !== 'linux') {
    const remedy = 'use a Linux machine, or a virtual one; commands about a cluster work from here';
    return diagnosis([
      wrong('system', 'error', { message: `${system} has no network namespaces`, remedy }),
    ]);
  }
  return diagnosis([
    kernel(facts.kernel),
    architecture(facts.architecture),
    refused('programs', noTools) ?? fine('programs', 'ip, nft, unshare, nsenter, mount, hostname'),
    ...(noTools === undefined
      ? [refused('namespaces', noNamespaces) ?? fine('namespaces', 'user, mount, network, process')]
      : []),
    ...(noTools === undefined && noNamespaces === undefined ? [network(noNetwork)] : []),
    port(facts.port),
    memory(facts.memoryMiB),
    processors(facts.processors),
    openFiles(facts.openFiles),
    disk(facts.state),
    kubectl(facts.hasKubectl),
  ]);
}

export function kernel(version: string, check = 'kernel'): Finding {
  if (compareVersions(version, KERNEL_MIN) < 0) {
    return wrong(check, 'error', {
      message: `Linux ${version}; ${KERNEL_MIN} or newer is needed`,
      remedy: 'upgrade the kernel',
    });
  }
  if (compareVersions(version, KERNEL_MIGRATES) >= 0) return fine(check, `Linux ${version}`);
  return wrong(check, 'warning', {
    message: `Linux ${version}: connections that wait to be accepted are lost when a node proxy is upgraded`,
    remedy: `upgrade the kernel to ${KERNEL_MIGRATES} or newer`,
  });
}

function architecture(name: string): Finding {
  if (ARCHITECTURES.includes(name)) return fine('architecture', name);
  const message = `${name}; Bun, which runs Tulle, is for ${ARCHITECTURES.join(' and ')}`;
  return wrong('architecture', 'error', { message, remedy: 'use another machine' });
}

function refused(check: string, refusal: Refusal | undefined): Finding | undefined {
  if (refusal === undefined) return undefined;
  return wrong(check, 'error', { message: refusal.message, remedy: refusal.hint });
}

function network(failure: string | undefined): Finding {
  if (failure === undefined)
    return fine('network', 'veth, bridge, nf_tables with redirect, fib, conntrack');
  return wrong('network', 'error', {
    message: `the kernel refuses what the lab's network is made of: ${failure}`,
    remedy:
      'load what is missing: modprobe -a veth bridge nf_tables nft_redir nft_nat nft_fib_inet nft_ct nf_conntrack',
  });
}

function port({ number, takenBy }: MachineFacts['port']): Finding {
  if (takenBy === undefined) return fine('port', `127.0.0.1:${number} is free for the console`);
  if (takenBy === 'lab') return fine('port', `127.0.0.1:${number} is the running lab's`);
  return wrong('port', 'warning', {
    message: `127.0.0.1:${number}, the console's, is taken`,
    remedy: 'tulle lab up --console-port 0 takes a free one',
  });
}

function memory(availableMiB: number): Finding {
  const message = `${availableMiB} MiB can be used`;
  if (availableMiB >= LAB_MEMORY_MIB) return fine('memory', message);
  return wrong('memory', 'warning', {
    message: `${message}; the demo lab takes ${LAB_MEMORY_MIB}`,
    remedy:
      'end other programs or raise the limit of the container; a lab without --demo and with --nodes 1 takes less',
  });
}

function processors(count: number): Finding {
  const message = `${count} can be used`;
  if (count >= 2) return fine('processors', message);
  return wrong('processors', 'warning', {
    message: `${message}: everything runs, and starts slowly`,
    remedy: 'give it two',
  });
}

function openFiles(limit: number): Finding {
  if (limit >= OPEN_FILES) return fine('open files', `up to ${limit} a process`);
  return wrong('open files', 'warning', {
    message: `up to ${limit} a process: some hundred connections at a time`,
    remedy: `ulimit -n ${OPEN_FILES} before tulle lab up`,
  });
}

function disk({ directory, freeMiB, failure }: MachineFacts['state']): Finding {
  if (failure !== undefined) {
    return wrong('disk', 'error', {
      message: `${directory} cannot be written: ${failure}`,
      remedy: 'set TULLE_HOME to a directory that you can write to',
    });
  }
  const message = `${freeMiB} MiB free for ${directory}`;
  if (freeMiB >= LAB_DISK_MIB) return fine('disk', message);
  return wrong('disk', 'warning', {
    message,
    remedy: 'free some space, or set TULLE_HOME to a directory on another disk',
  });
}

function kubectl(isThere: boolean): Finding {
  return fine(
    'kubectl',
    isThere ? 'is here' : 'is not here: tulle get, apply, delete, logs, exec do the same',
  );
}
