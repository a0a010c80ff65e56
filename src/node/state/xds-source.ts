/** Builds snapshots from delta xDS. Several responses of one turn make one snapshot. */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import { PolicyIndex } from '#policy/l4/policy-index.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';
import { ADDRESS } from '#xds/resources/address.ts';
import { AUTHORIZATION } from '#xds/resources/authorization.ts';
import { TELEMETRY } from '#xds/resources/telemetry.ts';
import { MeshSnapshot } from './mesh-snapshot.ts';
import type { MeshState } from './mesh-state.ts';

/** Istio's control plane answers nothing for the last: then it is as by default. */
export const NODE_RESOURCE_TYPES = [ADDRESS, AUTHORIZATION, TELEMETRY];

export function followXds(client: XdsClient, state: MeshState, clock: Clock): Disposer {
  const addresses = client.store(ADDRESS);
  const authorizations = client.store(AUTHORIZATION);
  const telemetries = client.store(TELEMETRY);
  let scheduled = false;
  let policies: PolicyIndex | undefined;
  let telemetry: ReadonlyMap<string, ScopedTelemetry> | undefined;
  const rebuild = () => {
    scheduled = false;
    // Addresses without their policies would let through what a policy forbids.
    if (!addresses.synced || !authorizations.synced) return;
    policies ??= new PolicyIndex(valuesOf(authorizations.entries()));
    telemetry ??= new Map(telemetries.entries());
    state.replace(
      new MeshSnapshot({
        version: state.current.version + 1,
        addresses: valuesOf(addresses.entries()),
        authorizations: policies,
        telemetry,
      }),
    );
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    clock.after(0, rebuild);
  };
  const stops = [
    addresses.onChange(schedule),
    authorizations.onChange(() => {
      policies = undefined;
      schedule();
    }),
    telemetries.onChange(() => {
      telemetry = undefined;
      schedule();
    }),
  ];
  schedule();
  return () => {
    for (const stop of stops) stop();
  };
}

function* valuesOf<T>(entries: Iterable<[string, T]>): Iterable<T> {
  for (const [, value] of entries) yield value;
}
