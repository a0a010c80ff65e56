/** `tulle describe`: the object as YAML without bookkeeping, then its events. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { systemClock } from '#base/clock.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { resourcePath } from '#kube/client/rest-client.ts';
import { clusterFor } from '../../cluster.ts';
import { formatAge, formatTable } from '../../output/table.ts';
import { discover } from './discovery.ts';
import { targetsOf } from './get.ts';

interface EventObject extends KubeObject {
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  lastTimestamp?: string;
  eventTime?: string;
}

export async function describe(
  words: string[],
  options: { namespace?: string },
  command: Command,
): Promise<void> {
  const cluster = clusterFor(command);
  const namespace = options.namespace ?? cluster.namespace;
  for (const { kind, name } of targetsOf(words, await discover(cluster.client))) {
    const place = kind.namespaced ? namespace : undefined;
    const response = await cluster.client.open(
      'GET',
      resourcePath(kind, { namespace: place, name }),
      {},
    );
    const answer = (await response.json()) as KubeObject & { items?: KubeObject[] };
    for (const object of answer.items ?? [answer]) {
      process.stdout.write(describeObject({ ...object, kind: kind.kind }));
      const events = place === undefined ? [] : await eventsOf(cluster.client, place, object);
      process.stdout.write(`${formatEvents(events)}\n`);
    }
  }
}

function describeObject(object: KubeObject): string {
  const { managedFields: _, ...metadata } = object.metadata as KubeObject['metadata'] & {
    managedFields?: unknown;
  };
  return stringify({ ...object, metadata });
}

async function eventsOf(
  client: ReturnType<typeof clusterFor>['client'],
  namespace: string,
  object: KubeObject,
): Promise<EventObject[]> {
  const fieldSelector = `involvedObject.name=${object.metadata.name},involvedObject.kind=${object.kind}`;
  const { items } = await client.list<EventObject>(RESOURCES.events, { namespace, fieldSelector });
  return items;
}

function formatEvents(events: readonly EventObject[]): string {
  if (events.length === 0) return 'events: none\n';
  const now = systemClock.wallTime();
  const rows = events.map((event) => {
    const seen = event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? '';
    return [
      formatAge((now - Date.parse(seen)) / 1000),
      event.type ?? '',
      event.reason ?? '',
      event.message ?? '',
    ];
  });
  return `events:\n${formatTable(['AGE', 'TYPE', 'REASON', 'MESSAGE'], rows)}`;
}
