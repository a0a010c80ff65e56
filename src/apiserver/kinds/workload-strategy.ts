/** Deployments and ReplicaSets: defaults of apps/v1 and the rules about their selector. */
import { compileLabelSelector, matchLabels } from '#kube/meta/label-selector.ts';
import {
  type ApiObject,
  equalJson,
  isJsonObject,
  type JsonObject,
  readPath,
} from '#kube/meta/object.ts';
import type { SchemaFinding } from '../schema-provider.ts';
import { memberOf } from './members.ts';
import { defaultPodSpec } from './pod-strategy.ts';
import type { KindStrategy } from './strategy.ts';

const PROGRESS_DEADLINE_SECONDS = 600;
const REVISION_HISTORY = 10;

export const REPLICASET_STRATEGY: KindStrategy = {
  defaults: defaultScaled,
  prepareCreate(set) {
    set.status = { replicas: 0 };
  },
  validate: validateSelector,
};

export const DEPLOYMENT_STRATEGY: KindStrategy = {
  defaults(deployment) {
    defaultScaled(deployment);
    const spec = memberOf(deployment, 'spec');
    spec.revisionHistoryLimit ??= REVISION_HISTORY;
    spec.progressDeadlineSeconds ??= PROGRESS_DEADLINE_SECONDS;
    const strategy = memberOf(spec, 'strategy');
    strategy.type ??= 'RollingUpdate';
    if (strategy.type !== 'RollingUpdate') return;
    const rolling = memberOf(strategy, 'rollingUpdate');
    rolling.maxSurge ??= '25%';
    rolling.maxUnavailable ??= '25%';
  },
  prepareCreate(deployment) {
    deployment.status = {};
  },
  validate: validateSelector,
};

function defaultScaled(object: ApiObject): void {
  const spec = memberOf(object, 'spec');
  spec.replicas ??= 1;
  const template = memberOf(spec, 'template');
  const metadata = memberOf(template, 'metadata');
  if (metadata.creationTimestamp === undefined) metadata.creationTimestamp = null;
  defaultPodSpec(memberOf(template, 'spec'));
}

function validateSelector(object: ApiObject, old: ApiObject | undefined): SchemaFinding[] {
  const spec = object.spec as JsonObject;
  const selector = spec.selector;
  if (!isJsonObject(selector))
    return [{ field: 'spec.selector', reason: 'FieldValueRequired', message: 'Required value' }];
  const oldSelector = readPath(old, ['spec', 'selector']);
  if (old !== undefined && !equalJson(oldSelector, selector))
    return [
      {
        field: 'spec.selector',
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(selector)}: field is immutable`,
      },
    ];
  const labels = readPath(spec, ['template', 'metadata', 'labels']);
  const requirements = compileLabelSelector(selector);
  if (requirements.length === 0)
    return [
      {
        field: 'spec.selector',
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(selector)}: empty selector is invalid for deployment`,
      },
    ];
  if (matchLabels(requirements, isJsonObject(labels) ? (labels as Record<string, string>) : {}))
    return [];
  return [
    {
      field: 'spec.template.metadata.labels',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(labels ?? {})}: \`selector\` does not match template \`labels\``,
    },
  ];
}
