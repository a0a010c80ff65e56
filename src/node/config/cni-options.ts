/** Flags of the node proxy as the installer of the CNI plugin; environment names are istio-cni's where it has them. */
import { EXCLUDED_NAMESPACES } from '#redirect/plan.ts';

export type CniMode = 'install' | 'off' | 'uninstall';

export interface CniOptions {
  /** `uninstall`: takes out what an agent that is gone left on the node, and ends. */
  mode: CniMode;
  binDir: string;
  confDir: string;
  /** Undefined: the file that the container runtime takes. */
  confName: string | undefined;
  /** What is copied to the node as the plugin. */
  program: string;
}

export const CNI_FLAGS = {
  cni: { type: 'string' },
  'cni-bin-dir': { type: 'string' },
  'cni-conf-dir': { type: 'string' },
  'cni-conf-name': { type: 'string' },
  'cni-program': { type: 'string' },
  'exclude-namespaces': { type: 'string' },
} as const;

type Values = Partial<Record<keyof typeof CNI_FLAGS, string>>;
type Environment = Record<string, string | undefined>;

/** `mode` was checked before. */
export function cniOptionsOf(mode: CniMode, values: Values, env: Environment): CniOptions {
  return {
    mode,
    binDir: values['cni-bin-dir'] ?? env.CNI_BIN_DIR ?? '/opt/cni/bin',
    confDir: values['cni-conf-dir'] ?? env.CNI_CONF_DIR ?? '/etc/cni/net.d',
    confName: (values['cni-conf-name'] ?? env.CNI_CONF_NAME) || undefined,
    program: values['cni-program'] ?? env.CNI_PROGRAM ?? process.execPath,
  };
}

/** Ours is always among them: the mesh itself must start while no agent runs. */
export function excludedNamespacesOf(values: Values, env: Environment, own: string): string[] {
  const text = values['exclude-namespaces'] ?? env.EXCLUDE_NAMESPACES;
  const named = text === undefined ? EXCLUDED_NAMESPACES : text.split(',');
  const names = [own, ...named].map((name) => name.trim()).filter((name) => name !== '');
  return [...new Set(names)];
}
