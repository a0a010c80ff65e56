/**
 * A node's CNI configuration and our entry in it. The container runtime takes the first valid file of the folder, in the
 * order of their names; what is valid is decided here as libcni and containerd's go-cni decide it. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '#base/errors.ts';
import { CNI_PLUGIN, type PluginEntry } from '#cni/config.ts';
import { CNI_VERSIONS } from '#cni/protocol.ts';

export interface ConfFile {
  readonly name: string;
  readonly text: string;
}

export interface ConfList {
  /** Of the list: a single plugin's file becomes one, as only lists have chains. */
  readonly fileName: string;
  readonly list: Record<string, unknown>;
  readonly plugins: readonly Plugin[];
}

type Plugin = Record<string, unknown>;

/** What runtimes look at. */
const CONF_NAME = /\.(conf|conflist|json)$/;
/** The name libcni gives a network that has none in a file of ours (istio cni/pkg/install/cniconfig.go). */
const NETWORK_NAME = 'k8s-pod-network';

export function isConfName(name: string): boolean {
  return CONF_NAME.test(name);
}

/** A reason in words where runtimes pass the file over. */
export function confListOf({ name, text }: ConfFile): ConfList | string {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    return messageOf(error);
  }
  if (!isObject(fields)) return 'no JSON object';
  return name.endsWith('.conflist') ? listIn(name, fields) : singleIn(name, fields);
}

function listIn(fileName: string, list: Record<string, unknown>): ConfList | string {
  const { plugins } = list;
  if (typeof list.name !== 'string' || list.name === '') return 'no name';
  if (!Array.isArray(plugins) || plugins.length === 0) return 'no plugins';
  if (!plugins.every((plugin) => isObject(plugin) && isNamed(plugin.type))) {
    return 'a plugin without a type';
  }
  return { fileName, list, plugins };
}

function singleIn(name: string, plugin: Record<string, unknown>): ConfList | string {
  if (!isNamed(plugin.type)) return 'no type';
  const { cniVersion, ...rest } = plugin;
  const list = {
    cniVersion: CNI_VERSIONS.includes(String(cniVersion)) ? cniVersion : CNI_VERSIONS[0],
    name: isNamed(plugin.name) ? plugin.name : NETWORK_NAME,
    plugins: [rest],
  };
  return { fileName: name.replace(CONF_NAME, '.conflist'), list, plugins: [rest] };
}

/** The file that the runtime takes, and why it passes over those before it. */
export function primaryOf(files: readonly ConfFile[]): {
  primary: { file: ConfFile; conf: ConfList } | undefined;
  passedOver: readonly string[];
} {
  const passedOver: string[] = [];
  const sorted = files.filter(({ name }) => isConfName(name)).sort(byName);
  for (const file of sorted) {
    const conf = confListOf(file);
    if (typeof conf !== 'string') return { primary: { file, conf }, passedOver };
    passedOver.push(`${file.name}: ${conf}`);
  }
  return { primary: undefined, passedOver };
}

/** As Go sorts: by bytes. */
const byName = (left: ConfFile, right: ConfFile) => (left.name < right.name ? -1 : 1);

/** The file with our entry, once and as it should be; undefined when it has that already. */
export function withEntry(
  { name }: ConfFile,
  conf: ConfList,
  entry: PluginEntry,
): ConfFile | undefined {
  const ours = conf.plugins.filter(isOurs);
  const isList = name === conf.fileName;
  if (isList && ours.length === 1 && isDeepStrictEqual(ours[0], { ...entry })) return undefined;
  // In the place that it has: somebody may have put a plugin after it on purpose.
  const at = conf.plugins.findIndex(isOurs);
  const others = conf.plugins.filter((plugin) => !isOurs(plugin));
  const place = at < 0 ? others.length : at;
  const plugins = [...others.slice(0, place), { ...entry }, ...others.slice(place)];
  return { name: conf.fileName, text: textOf({ ...conf.list, plugins }) };
}

export function hasEntry(conf: ConfList): boolean {
  return conf.plugins.some(isOurs);
}

/**
 * The file as it was before us: byte for byte the one that was saved, when nothing but our entry came into it since; else
 * what it is now without our entry.
 */
export function withoutEntry(conf: ConfList, saved: readonly ConfFile[]): ConfFile {
  const plugins = conf.plugins.filter((plugin) => !isOurs(plugin));
  const list = { ...conf.list, plugins };
  for (const file of saved) {
    const before = confListOf(file);
    if (typeof before === 'string' || before.fileName !== conf.fileName) continue;
    if (isDeepStrictEqual(before.list, list)) return file;
  }
  return { name: conf.fileName, text: textOf(list) };
}

const isOurs = (plugin: Plugin) => plugin.type === CNI_PLUGIN;
const isNamed = (value: unknown) => typeof value === 'string' && value !== '';
const textOf = (list: object) => `${JSON.stringify(list, null, 2)}\n`;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
