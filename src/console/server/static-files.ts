/**
 * The console's own files: those that the built bundle has, by name, and nothing else; a path that is no name of them is never looked for on the
 * disk. Any other address of the console is answered with its index page, which finds the view by the address (deep links).
 */
import { acceptedEncodings } from './accepted-encodings.ts';
import type { BundleFile, BundleSource } from './bundle.ts';

const INDEX = 'index.html';
/** The bundler puts a hash of the content into the names beneath. */
const HASHED = /^assets\/.*[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+$/;
const ONE_YEAR = 'public, max-age=31536000, immutable';

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json; charset=utf-8',
  map: 'application/json; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  ico: 'image/x-icon',
  woff2: 'font/woff2',
  wasm: 'application/wasm',
  webmanifest: 'application/manifest+json',
};

/** In order of preference: what the bundle may have beside a file, and how that is called. */
const ENCODINGS = [
  { suffix: '.br', name: 'br' },
  { suffix: '.gz', name: 'gzip' },
] as const;

export class StaticFiles {
  readonly #source: BundleSource;

  constructor(source: BundleSource) {
    this.#source = source;
  }

  async answer(request: Request, pathname: string): Promise<Response> {
    const files = this.#source.files();
    if (!files.has(INDEX)) return missingBundle(this.#source.buildCommand);
    const name = pathname === '/' ? INDEX : pathname.slice(1);
    const isFile = files.has(name) && !ENCODINGS.some(({ suffix }) => name.endsWith(suffix));
    if (isFile) return fileAnswer(request, name, files);
    if (isAsset(name, request))
      return new Response('there is no such file\n', { status: 404, headers: PLAIN });
    return fileAnswer(request, INDEX, files);
  }
}

const PLAIN = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };

/** What a page loads, not what somebody goes to: an index page in its place would be taken for a broken script. */
function isAsset(name: string, { headers }: Request): boolean {
  if (name.startsWith('assets/')) return true;
  const last = name.slice(name.lastIndexOf('/') + 1);
  return last.includes('.') && !(headers.get('accept') ?? '').includes('text/html');
}

async function fileAnswer(
  request: Request,
  name: string,
  files: ReadonlyMap<string, BundleFile>,
): Promise<Response> {
  const { file, encoding } = chosen(request, name, files);
  const headers = new Headers({
    'content-type': TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    'cache-control': HASHED.test(name) ? ONE_YEAR : 'no-cache',
    etag: file.tag,
    vary: 'accept-encoding',
  });
  if (encoding !== undefined) headers.set('content-encoding', encoding);
  if (request.headers.get('if-none-match')?.split(/,\s*/).includes(file.tag))
    return new Response(null, { status: 304, headers });
  return new Response(await file.bytes(), { headers });
}

function chosen(request: Request, name: string, files: ReadonlyMap<string, BundleFile>) {
  const accepted = acceptedEncodings(request.headers.get('accept-encoding') ?? '');
  for (const { suffix, name: encoding } of ENCODINGS) {
    const file = files.get(name + suffix);
    if (file !== undefined && accepted.has(encoding)) return { file, encoding };
  }
  return { file: files.get(name) as BundleFile, encoding: undefined };
}

function missingBundle(command: string): Response {
  const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Tulle</title></head>
<body>
<h1>The console is not built</h1>
<p>This checkout has no built console. Build it, then load this page again:</p>
<pre>${command}</pre>
<p>The interface under <a href="/api/v1/session">/api/v1</a> works without it, and so do <code>tulle status</code>, <code>tulle graph</code>,
<code>tulle top</code>, <code>tulle tap</code> and <code>tulle traces</code>.</p>
</body>
</html>
`;
  return new Response(page, {
    status: 503,
    headers: { 'content-type': TYPES.html, 'cache-control': 'no-store' },
  });
}
