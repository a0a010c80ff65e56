/**
 * Objects of configuration: seen by those to whom the API server would show them, judged as the control plane would, and written with the reader's own
 * token, so that nobody can do here what kubectl would refuse.
 */
import { rfc3339 } from '#base/clock.ts';
import { isMeshError } from '#base/errors.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import type { ApplyAnswer, ConfigsAnswer } from '../../api/config.ts';
import { configKind, isOfKind, refOf } from '../../config-kinds.ts';
import type { ConfigView } from '../../mesh-view.ts';
import { configAnswer, configRow } from '../../pages/config-rows.ts';
import { type Access, mayWrite } from '../access/access.ts';
import { type Reader, sees, visible } from '../access/reader.ts';
import { eachOf } from '../access/reviews.ts';
import { judgeText, schemaOf } from '../config-text.ts';
import type { ConsoleDeps } from '../console-deps.ts';
import { CONFIG_BODY_BYTES_MAX, STORE_TRIES } from '../limits.ts';
import { shown } from '../parameters.ts';
import { badParameter, notFound, Problem } from '../problem.ts';
import { flagMember, textMember } from '../read-body.ts';
import type { Call, Route } from '../router.ts';

const FIELD_MANAGER = 'tulle-console';

export function configRoutes(deps: ConsoleDeps, access: Access): Route[] {
  const { mesh, clock } = deps;
  return [
    {
      method: 'GET',
      path: '/api/v1/config',
      access: 'reader',
      query: ['namespaces', 'kinds'],
      async handle({ query, reader }): Promise<ConfigsAnswer> {
        const kinds = query.names('kinds').map((text) => kindNamed(text, 'kinds'));
        const namespaces = visible(reader, query.names('namespaces'));
        const views = [...mesh.config()].filter(
          (view) =>
            (kinds.length === 0 || kinds.some((ref) => isOfKind(view, ref))) &&
            (view.namespace === '' || namespaces === undefined || namespaces.has(view.namespace)),
        );
        const findings = mesh.findings();
        const readable = await onlyReadable(access, reader, views);
        return {
          generatedAt: rfc3339(clock),
          objects: readable.map((view) => configRow(view, findings)).sort(byAddress),
        };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/config/{kind}/{namespace}/{name}',
      access: 'reader',
      async handle({ path, reader }) {
        const { view, ref } = await found(deps, access, { path, reader });
        const right = {
          verb: 'update',
          ref,
          namespace: view.namespace || undefined,
          name: view.name,
        } as const;
        const isEditable =
          !access.options.isReadOnly && mayWrite(reader) && (await access.may(reader, right));
        return configAnswer(view, mesh, isEditable);
      },
    },
    {
      method: 'PUT',
      path: '/api/v1/config/{kind}/{namespace}/{name}',
      access: 'change',
      bodyBytesMax: CONFIG_BODY_BYTES_MAX,
      handle: (call) => put(deps, access, call),
    },
    {
      method: 'POST',
      path: '/api/v1/config/validate',
      access: 'reader',
      bodyBytesMax: CONFIG_BODY_BYTES_MAX,
      handle({ body }) {
        const { findings } = judgeText(textMember(body, 'yaml', 'apiVersion: …'), deps.judge);
        return { isValid: !findings.some(({ level }) => level === 'error'), findings };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/schemas/{kind}',
      access: 'reader',
      handle({ path }) {
        const schema = schemaOf(kindNamed(path.kind, 'kind'));
        if (schema === undefined) throw notFound(`there is no schema of ${path.kind}`);
        return schema;
      },
    },
  ];
}

function kindNamed(text: string, field: string): ResourceRef {
  const ref = configKind(text);
  if (ref === undefined)
    throw badParameter(
      field,
      `${shown(text)} is no kind that configures the mesh`,
      'for example VirtualService, HTTPRoute, Gateway.networking.istio.io',
    );
  return ref;
}

function byAddress(
  left: { namespace: string; kind: string; name: string },
  right: typeof left,
): number {
  const text = (row: typeof left) => `${row.namespace} ${row.kind} ${row.name}`;
  return text(left) < text(right) ? -1 : 1;
}

/** One question for each kind and namespace that there are. */
async function onlyReadable(
  access: Access,
  reader: Reader,
  views: readonly ConfigView[],
): Promise<ConfigView[]> {
  if (reader.kind === 'guest') return [...views];
  const groups = [
    ...Map.groupBy(views, (view) => `${view.apiVersion} ${view.kind} ${view.namespace}`).values(),
  ];
  const allowed = await eachOf(groups, async ([first]) => {
    const ref = refOf(first);
    return (
      ref !== undefined &&
      (await access.may(reader, { verb: 'list', ref, namespace: first.namespace || undefined }))
    );
  });
  return groups.filter((_, at) => allowed[at]).flat();
}

async function found(
  { mesh }: ConsoleDeps,
  access: Access,
  { path, reader }: Pick<Call, 'path' | 'reader'>,
): Promise<{ view: ConfigView; ref: ResourceRef }> {
  const named = kindNamed(path.kind, 'kind');
  const namespace = path.namespace === '-' ? '' : path.namespace;
  const isIt = (view: ConfigView) => view.namespace === namespace && view.name === path.name;
  const views = [...mesh.config()].filter(isIt);
  // Under the bare name the other Gateway is meant where the first is not there.
  const view =
    views.find((each) => isOfKind(each, named)) ?? views.find(({ kind }) => kind === path.kind);
  const ref = view && refOf(view);
  const isSeen = sees(reader, namespace);
  if (view === undefined || ref === undefined || !isSeen)
    throw notFound(
      `there is no ${path.kind} ${namespace === '' ? '' : `${namespace}/`}${path.name}`,
      'GET /api/v1/config lists them',
    );
  if (
    !(await access.may(reader, {
      verb: 'get',
      ref,
      namespace: namespace || undefined,
      name: path.name,
    }))
  )
    throw new Problem(
      'CONSOLE_FORBIDDEN',
      `${reader.user} may not read ${path.kind} in ${namespace || 'the cluster'}`,
    );
  return { view, ref };
}

async function put(
  deps: ConsoleDeps,
  access: Access,
  { path, body, reader }: Call,
): Promise<ApplyAnswer> {
  if (access.options.isReadOnly)
    throw new Problem('CONSOLE_READ_ONLY', 'this console changes nothing');
  const client = writer(deps, reader);
  const isDryRun = flagMember(body, 'dryRun');
  const { object, findings } = judgeText(textMember(body, 'yaml', 'apiVersion: …'), deps.judge);
  const isValid = !findings.some(({ level }) => level === 'error');
  if (object === undefined || !isValid)
    return { isValid: false, findings, isApplied: false, error: 'it has errors' };
  const ref = addressed(object, path);
  const right = {
    verb: 'update',
    ref,
    namespace: object.metadata.namespace,
    name: path.name,
  } as const;
  if (!(await access.may(reader, right)))
    throw new Problem(
      'CONSOLE_FORBIDDEN',
      `${reader.user} may not update ${ref.resource} in ${path.namespace}`,
    );
  try {
    await store(client, ref, { object, isDryRun });
  } catch (error) {
    // What the API server has against it belongs beside the findings; everything else is no answer about the text.
    if (isMeshError(error, 'KUBE_INVALID') || isMeshError(error, 'KUBE_CONFLICT'))
      return { isValid: true, findings, isApplied: false, error: error.message };
    throw error;
  }
  deps.log.info('configuration changed by console', {
    user: reader.user,
    resource: `${ref.kind} ${path.namespace}/${path.name}`,
    dryRun: isDryRun,
  });
  return { isValid: true, findings, isApplied: !isDryRun };
}

function writer({ kube, asReader }: ConsoleDeps, reader: Reader): KubeClient {
  if (reader.token !== undefined) return asReader(reader.token);
  if (reader.isOwner) return kube;
  throw new Problem('CONSOLE_NOT_LOGGED_IN', 'changes are made with a token of your own');
}

/** The text must be about the object that the address names. */
function addressed(object: KubeObject, path: Call['path']): ResourceRef {
  const ref = kindNamed(path.kind, 'kind');
  const own = refOf(object);
  const namespace = path.namespace === '-' ? undefined : path.namespace;
  const isKind = own !== undefined && (own === ref || own.kind === path.kind);
  if (!isKind) throw mismatch('kind', `${object.apiVersion} ${object.kind}`, path.kind);
  if (object.metadata.name !== path.name)
    throw mismatch('metadata.name', object.metadata.name, path.name);
  if ((object.metadata.namespace ?? '') !== (namespace ?? ''))
    throw mismatch('metadata.namespace', object.metadata.namespace ?? '', namespace ?? '-');
  return own;
}

function mismatch(field: string, is: string, wanted: string): Problem {
  return new Problem('CONSOLE_BAD_BODY', `${field}: ${shown(is)} is not what the address names`, {
    field,
    hint: `write ${wanted}, or use its own address`,
  });
}

/** As the editor shows it: what was deleted from the text is deleted from the object. */
async function store(
  client: KubeClient,
  ref: ResourceRef,
  { object, isDryRun }: { object: KubeObject; isDryRun: boolean },
): Promise<void> {
  const options = { fieldManager: FIELD_MANAGER, dryRun: isDryRun };
  const { namespace, name, resourceVersion } = object.metadata;
  try {
    await retryingConflicts(resourceVersion === undefined, async () => {
      const existing = await client.get(ref, { namespace, name });
      // Without a version of its own the text is meant for what is there now.
      const metadata = {
        ...object.metadata,
        resourceVersion: resourceVersion ?? existing.metadata.resourceVersion,
      };
      await client.update(ref, { ...object, metadata }, options);
    });
  } catch (error) {
    if (!isMeshError(error, 'KUBE_NOT_FOUND') || resourceVersion !== undefined) throw error;
    await client.create(ref, object, options);
  }
}

/** A controller that writes the status in between is no reason to refuse the text. */
async function retryingConflicts(mayRetry: boolean, write: () => Promise<void>): Promise<void> {
  for (let left = mayRetry ? STORE_TRIES : 1; ; left--) {
    try {
      return await write();
    } catch (error) {
      if (left === 1 || !isMeshError(error, 'KUBE_CONFLICT')) throw error;
    }
  }
}
