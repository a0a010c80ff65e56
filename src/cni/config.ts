/** Our entry in a node's list of CNI plugins: written by the node agent, read by the plugin from its standard input. */
import { messageOf } from '#base/errors.ts';
import { CNI_CODE, CNI_VERSIONS, CniError } from './protocol.ts';

/** Name of the plugin's program as well. */
export const CNI_PLUGIN = 'tulle-cni';

export interface PluginEntry {
  readonly type: typeof CNI_PLUGIN;
  /** Of the node agent, as the node sees it. */
  readonly agentSocket: string;
  /** Pods of these start whether the agent runs or not: the mesh itself and what it needs are among them. */
  readonly excludeNamespaces: readonly string[];
}

/** What the runtime hands over: the entry, with the list's version and what the plugins before us made. */
export interface PluginConfig {
  readonly cniVersion: string;
  readonly agentSocket: string;
  readonly excludeNamespaces: readonly string[];
  /** As it came; undefined when there is none. */
  readonly prevResult: Record<string, unknown> | undefined;
}

export function pluginConfigOf(text: string): PluginConfig {
  const fields = objectOf(parsed(text));
  if (fields === undefined) throw undecodable('the configuration is no JSON object');
  const { cniVersion, agentSocket, excludeNamespaces = [], prevResult } = fields;
  if (typeof cniVersion !== 'string' || !CNI_VERSIONS.includes(cniVersion)) {
    throw new CniError({
      code: CNI_CODE.incompatibleVersion,
      msg: `cniVersion ${String(cniVersion)} is not supported`,
      details: `set cniVersion of the network configuration to one of ${CNI_VERSIONS.join(', ')}`,
    });
  }
  if (typeof agentSocket !== 'string' || !agentSocket.startsWith('/')) {
    throw badConfiguration('agentSocket is no absolute path');
  }
  if (!Array.isArray(excludeNamespaces) || !excludeNamespaces.every(isText)) {
    throw badConfiguration('excludeNamespaces is no list of names');
  }
  const previous = objectOf(prevResult);
  if (prevResult !== undefined && previous === undefined) {
    throw undecodable('prevResult is no JSON object');
  }
  return { cniVersion, agentSocket, excludeNamespaces, prevResult: previous };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw undecodable(messageOf(error));
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Record<string, unknown>;
}

const isText = (value: unknown): value is string => typeof value === 'string';

function undecodable(what: string): CniError {
  return new CniError({
    code: CNI_CODE.undecodable,
    msg: `cannot read the network configuration: ${what}`,
    details: 'look at the files in the configuration folder of CNI, most often /etc/cni/net.d',
  });
}

export function badConfiguration(what: string): CniError {
  return new CniError({
    code: CNI_CODE.badConfiguration,
    msg: `network configuration of ${CNI_PLUGIN}: ${what}`,
    details:
      'the node agent writes this entry: restart its pod on this node (kubectl get pods -A -l app=ztunnel -o wide)',
  });
}
