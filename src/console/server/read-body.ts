/** Bodies of requests: JSON of a bounded length, said to be JSON (a form of another site cannot say so without being asked first). */
import { messageOf } from '#base/errors.ts';
import { Problem } from './problem.ts';

export async function readJson(request: Request, bytesMax: number): Promise<unknown> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/json(\s*;|$)/i.test(type))
    throw new Problem(
      'CONSOLE_BAD_BODY',
      `content-type ${JSON.stringify(type.slice(0, 60))} is not application/json`,
      { status: 415 },
    );
  const text = await readText(request, bytesMax);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem('CONSOLE_BAD_BODY', `the body is no JSON: ${messageOf(error).slice(0, 200)}`);
  }
}

/** Stops reading at the limit, whatever the length was said to be. */
async function readText(request: Request, bytesMax: number): Promise<string> {
  const tooLarge = () =>
    new Problem('CONSOLE_TOO_LARGE', `the body is larger than ${bytesMax} bytes`);
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax) throw tooLarge();
  if (request.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A member of a JSON object that must be a text. */
export function textMember(body: unknown, name: string, example: string): string {
  const value = memberOf(body, name);
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw new Problem('CONSOLE_BAD_BODY', `${name}: must be a text`, {
    field: name,
    hint: `for example {"${name}": ${JSON.stringify(example)}}`,
  });
}

export function flagMember(body: unknown, name: string): boolean {
  const value = memberOf(body, name);
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new Problem('CONSOLE_BAD_BODY', `${name}: must be true or false`, {
    field: name,
    hint: 'leave it out for false',
  });
}

function memberOf(body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Problem('CONSOLE_BAD_BODY', 'the body is no JSON object');
  return Object.hasOwn(body, name) ? (body as Record<string, unknown>)[name] : undefined;
}
