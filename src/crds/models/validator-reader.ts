/**
 * Reads JSON schemas back out of the compiled validators that the kubernetes-models packages ship. Each subschema is
 * one function there whose error literals name keyword and limit; imports are references to other schema files.
 * The packages widen every optional member to null, which Kubernetes does not: nullability is left out.
 */
import type { Schema } from '#config/schema/schema.ts';

export interface ValidatorFile {
  root: Schema;
  /** Nodes that stand for an imported schema, with the file they import. */
  references: { node: Schema; file: string }[];
}

const IMPORT = /import\{validate as (validate\d+)\}from"([^"]+)"/g;
const EXPORT = /export const validate=(validate\d+)/;
const FUNCTION =
  /function (validate\d+)\(data,\{instancePath="",parentData,parentDataProperty,rootData=data\}=\{\}\)\{([\s\S]*?)\b\1\.errors=vErrors,0===errors\}/g;
const ENUM_CONSTANT = /let (schema\d+_enum)=(\[.*?\]);/g;
const CALL =
  /(validate\d+)\(data(?:\.([A-Za-z_$][\w$]*)|\["((?:[^"\\]|\\.)*)"\]|\[(i\d+|key\d+)\])?,\{instancePath/g;
const KEYWORD = /keyword:"(\w+)",params:\{((?:"(?:[^"\\]|\\.)*"|[^{}"])*)\}/g;
const LIMITS = new Set([
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
]);

interface Context {
  bodies: Map<string, string>;
  imports: Map<string, string>;
  enums: Map<string, unknown[]>;
  nodes: Map<string, Schema>;
  references: ValidatorFile['references'];
}

export function readValidators(source: string): ValidatorFile {
  const context: Context = {
    bodies: new Map([...source.matchAll(FUNCTION)].map((match) => [match[1], match[2]])),
    imports: new Map([...source.matchAll(IMPORT)].map((match) => [match[1], match[2]])),
    enums: new Map(
      [...source.matchAll(ENUM_CONSTANT)].map((match) => [match[1], JSON.parse(match[2])]),
    ),
    nodes: new Map(),
    references: [],
  };
  const entry = EXPORT.exec(source)?.[1] ?? 'validate0';
  return { root: readNode(context, entry), references: context.references };
}

function readNode(context: Context, name: string): Schema {
  const known = context.nodes.get(name);
  if (known !== undefined) return known;
  const node: Schema = {};
  context.nodes.set(name, node);
  const file = context.imports.get(name);
  if (file !== undefined) {
    context.references.push({ node, file });
    return node;
  }
  const body = context.bodies.get(name) ?? '';
  const combinator = readKeywords(context, node, body);
  readCalls({ context, node, combinator }, body);
  return node;
}

type Combinator = 'oneOf' | 'anyOf' | 'not' | undefined;

function readKeywords(context: Context, node: Schema, body: string): Combinator {
  let combinator: Combinator;
  for (const [, keyword, params] of body.matchAll(KEYWORD)) {
    if (keyword === 'type') node.type = readParam(params, 'type') as Schema['type'];
    else if (keyword === 'format') node.format = String(readParam(params, 'format'));
    else if (keyword === 'pattern') node.pattern = String(readParam(params, 'pattern'));
    else if (keyword === 'required') {
      node.required ??= [];
      node.required.push(String(readParam(params, 'missingProperty')));
    } else if (keyword === 'enum') {
      node.enum = context.enums.get(params.slice('allowedValues:'.length));
    } else if (keyword === 'minimum' || keyword === 'maximum') {
      node[keyword] = Number(readParam(params, 'limit'));
    } else if (keyword === 'oneOf' || keyword === 'anyOf' || keyword === 'not')
      combinator = keyword;
    else if (LIMITS.has(keyword)) {
      node[keyword as 'minLength'] = Number(readParam(params, 'limit'));
    }
  }
  return combinator;
}

/** `comparison:">=",limit:400` */
function readParam(params: string, name: string): unknown {
  const match = new RegExp(`(?:^|,)${name}:("(?:[^"\\\\]|\\\\.)*"|[-\\w.+]+)`).exec(params);
  if (match === null) return undefined;
  // The minifier writes 4294967295 as 0xffffffff and 0.5 as .5.
  return match[1].startsWith('"') ? JSON.parse(match[1]) : Number(match[1]);
}

function readCalls(
  place: { context: Context; node: Schema; combinator: Combinator },
  body: string,
): void {
  const { context, node, combinator } = place;
  for (const [, callee, dotted, quoted, index] of body.matchAll(CALL)) {
    const target = readNode(context, callee);
    const member = dotted ?? (quoted === undefined ? undefined : JSON.parse(`"${quoted}"`));
    if (member !== undefined) {
      node.properties ??= {};
      node.properties[member] = target;
    } else if (index?.startsWith('i') === true) node.items = target;
    else if (index !== undefined) node.additionalProperties = target;
    else if (combinator === 'not') node.not = target;
    else if (combinator !== undefined) {
      node[combinator] ??= [];
      node[combinator].push(target);
    } else {
      node.allOf ??= [];
      node.allOf.push(target);
    }
  }
}
