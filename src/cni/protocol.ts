/** What the Container Network Interface asks of a plugin (SPEC.md 1.1.0): versions, commands, error codes, the error object. */

export const CNI_VERSIONS: readonly string[] = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** SPEC.md "Error": codes below 100 are the specification's. */
export const CNI_CODE = {
  incompatibleVersion: 1,
  badEnvironment: 4,
  ioFailure: 5,
  undecodable: 6,
  badConfiguration: 7,
  tryAgainLater: 11,
} as const;

export interface CniFailure {
  readonly code: number;
  readonly msg: string;
  /** What to do about it. The kubelet shows it behind `msg` in the pod's events. */
  readonly details: string;
}

export class CniError extends Error {
  override readonly name = 'CniError';
  readonly failure: CniFailure;

  constructor(failure: CniFailure) {
    super(failure.msg);
    this.failure = failure;
  }
}

/** The environment of one call. */
export interface Invocation {
  readonly command: string;
  readonly netns: string;
  readonly pod: CniPod | undefined;
}

export interface CniPod {
  readonly namespace: string;
  readonly name: string;
  /** Empty where the runtime does not say. */
  readonly uid: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What must be there, by command (SPEC.md "Parameters"). */
const REQUIRED: Record<string, readonly string[]> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  GC: ['CNI_PATH'],
  STATUS: [],
  VERSION: [],
};

export function invocationOf(env: Environment): Invocation {
  const { CNI_COMMAND: command = '', CNI_NETNS: netns = '' } = env;
  const required = REQUIRED[command];
  if (required === undefined) {
    throw badEnvironment(
      command === '' ? 'CNI_COMMAND is not set' : `CNI_COMMAND is ${command}`,
      `this is a CNI plugin, started by the container runtime with one of ${Object.keys(REQUIRED).join(', ')}`,
    );
  }
  const missing = required.filter((name) => (env[name] ?? '') === '');
  if (missing.length > 0) {
    throw badEnvironment(`${command} without ${missing.join(', ')}`, 'is the runtime a CNI one?');
  }
  return { command, netns, pod: podOf(env.CNI_ARGS ?? '') };
}

/** `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;…`; undefined for what is no pod of Kubernetes. */
function podOf(text: string): CniPod | undefined {
  const values = new Map<string, string>();
  for (const pair of text.split(';')) {
    const at = pair.indexOf('=');
    if (at > 0) values.set(pair.slice(0, at), pair.slice(at + 1));
    else if (pair !== '') throw badEnvironment(`CNI_ARGS has ${pair}`, 'want KEY=VALUE;KEY=VALUE');
  }
  const namespace = values.get('K8S_POD_NAMESPACE') ?? '';
  const name = values.get('K8S_POD_NAME') ?? '';
  if (namespace === '' || name === '') return undefined;
  return { namespace, name, uid: values.get('K8S_POD_UID') ?? '' };
}

function badEnvironment(msg: string, details: string): CniError {
  return new CniError({ code: CNI_CODE.badEnvironment, msg, details });
}
