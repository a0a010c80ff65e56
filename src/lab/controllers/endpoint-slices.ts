/** The EndpointSlice controller: every Service with a selector has slices that follow its pods. */
import { isMeshError } from '#base/errors.ts';
import type { EndpointSlice, Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { equalJson } from '#kube/meta/object.ts';
import { type Cluster, onAny } from './cluster.ts';
import {
  endpointSlicesFor,
  MANAGED_BY,
  SERVICE_NAME,
  selects,
  THIS_CONTROLLER,
} from './endpoint-plan.ts';
import { keyOf, Reconciler, splitKey } from './reconciler.ts';

export function startEndpointSlices(cluster: Cluster): void {
  const { client, pods, services, slices } = cluster;
  const log = cluster.log.child('endpointslices');

  const reconciler = new Reconciler({ ...cluster, log }, async (key) => {
    const service = services.get(splitKey(key));
    const { namespace, name } = splitKey(key);
    const existing = slices
      .list(namespace)
      .filter(
        ({ metadata: { labels } }) =>
          labels?.[SERVICE_NAME] === name && labels[MANAGED_BY] === THIS_CONTROLLER,
      );
    const selectorless = Object.keys(service?.spec.selector ?? {}).length === 0;
    if (service === undefined || selectorless) {
      await Promise.all(existing.map(remove));
      return;
    }
    const wanted = endpointSlicesFor(service, pods.list(namespace));
    const names = new Set(wanted.map((slice) => slice.metadata.name));
    await Promise.all([
      ...wanted.map((slice) =>
        write(
          slice,
          existing.find((other) => other.metadata.name === slice.metadata.name),
        ),
      ),
      ...existing.filter((slice) => !names.has(slice.metadata.name)).map(remove),
    ]);
  });

  async function write(slice: EndpointSlice, existing: EndpointSlice | undefined): Promise<void> {
    if (existing === undefined) {
      await client.create(RESOURCES.endpointSlices, slice);
      return;
    }
    const same =
      equalJson(existing.endpoints ?? [], slice.endpoints) &&
      equalJson(existing.ports ?? [], slice.ports) &&
      equalJson(existing.metadata.labels, slice.metadata.labels);
    if (same) return;
    const { resourceVersion } = existing.metadata;
    await client.update(RESOURCES.endpointSlices, {
      ...slice,
      metadata: { ...slice.metadata, resourceVersion },
    });
  }

  async function remove(slice: EndpointSlice): Promise<void> {
    try {
      await client.delete(RESOURCES.endpointSlices, slice.metadata);
    } catch (error) {
      if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
    }
  }

  services.subscribe(onAny((service) => reconciler.add(keyOf(service))));
  slices.subscribe(
    onAny((slice) => {
      const { labels, namespace } = slice.metadata;
      if (labels?.[MANAGED_BY] === THIS_CONTROLLER)
        reconciler.add(`${namespace}/${labels[SERVICE_NAME]}`);
    }),
  );
  pods.subscribe(
    onAny((pod: Pod) => {
      for (const service of services.list(pod.metadata.namespace))
        if (selects(service.spec.selector, pod.metadata.labels)) reconciler.add(keyOf(service));
    }),
  );
}
