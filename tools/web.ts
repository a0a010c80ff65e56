/**
 * `npm run web [-- --if-stale]`: builds the console into web/dist with Bun's own bundler: index.html without inline script or style, and assets/ with
 * names that change with their content, each also as .br and .gz. The `tulle` launcher asks for it with --if-stale when it starts a lab.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const ROOT = join(import.meta.dir, '..');
const WEB = join(ROOT, 'web');
export const WEB_DIST = join(WEB, 'dist');
/** Fonts are compressed already. */
const COMPRESSED = /\.(js|css|svg|html)$/;
/** Font files by name: the bundler would put them into the style sheet as text. */
const FONT_FOLDERS = ['inter', 'jetbrains-mono'].map((name) =>
  join(ROOT, 'node_modules/@fontsource-variable', name, 'files'),
);
const NAMING = {
  entry: '[name]-[hash].[ext]',
  chunk: '[name]-[hash].[ext]',
  asset: '[name]-[hash].[ext]',
};
/** What the built files come from, besides web/src. */
const OTHER_SOURCES = ['web/index.html', 'web/icon.svg', 'tools/web.ts', 'package-lock.json'];

export interface WebBuild {
  /** Of the first load, by name: bytes as they are sent, brotli where it is used. */
  readonly firstLoad: Readonly<Record<string, number>>;
  readonly files: number;
}

/** Builds beside the old files and swaps: a server that reads them sees one build or the other. */
export async function buildWeb(out = WEB_DIST): Promise<WebBuild> {
  const own = `${out}.${process.pid}`;
  const assets = join(own, 'assets');
  rmSync(own, { recursive: true, force: true });
  mkdirSync(assets, { recursive: true });
  try {
    const worker = await bundle(join(WEB, 'src/graph/live/worker.ts'), assets, '""');
    const workerAddress = JSON.stringify(`/assets/${entryName(worker)}`);
    const start = await bundle(join(WEB, 'src/start.ts'), assets, workerAddress);
    const icon = store(assets, 'icon.svg', readFileSync(join(WEB, 'icon.svg')));
    const script = entryName(start);
    const styles = await stylesOf(start, assets, join(own, 'styles'));
    const soon = soonAfter(assets, script);
    writeFileSync(join(own, 'index.html'), page({ script, soon, styles, icon }));
    for (const folder of [own, assets]) compressIn(folder);
    // Two labs may start at once: whose rename comes second takes the place of the first one's files.
    rmSync(`${own}.old`, { recursive: true, force: true });
    if (existsSync(out)) renameSync(out, `${own}.old`);
    renameSync(own, out);
    return { firstLoad: firstLoad(out), files: readdirSync(join(out, 'assets')).length };
  } finally {
    for (const path of [own, `${own}.old`]) rmSync(path, { recursive: true, force: true });
  }
}

/** When there is no build, or something that it comes from is younger. */
export function isWebStale(out = WEB_DIST): boolean {
  const page = join(out, 'index.html');
  if (!existsSync(page)) return true;
  const builtAt = statSync(page).mtimeMs;
  return webSources().some((path) => statSync(path).mtimeMs > builtAt);
}

async function bundle(
  entry: string,
  outdir: string,
  workerAddress: string,
  splitting = true,
): Promise<Bun.BuildOutput> {
  const built = await Bun.build({
    entrypoints: [entry],
    outdir,
    target: 'browser',
    format: 'esm',
    splitting,
    minify: true,
    sourcemap: 'none',
    publicPath: '/assets/',
    naming: NAMING,
    external: ['/fonts/*'],
    define: { 'process.env.NODE_ENV': '"production"', GRAPH_WORKER: workerAddress },
  });
  if (!built.success) throw new AggregateError(built.logs, `the bundler could not build ${entry}`);
  return built;
}

/**
 * One style sheet for all pages, in the order of imports. Split as the scripts are, each would hold its copy of the shared parts, and
 * which copy comes last would be chance.
 */
async function stylesOf(start: Bun.BuildOutput, assets: string, folder: string): Promise<string> {
  for (const { path } of start.outputs) if (path.endsWith('.css')) rmSync(path);
  const whole = await bundle(join(WEB, 'src/main.tsx'), folder, '""', false);
  const sheet = whole.outputs.find((file) => file.path.endsWith('.css'))!;
  const name = finishStyles(assets, sheet.path);
  rmSync(folder, { recursive: true });
  return name;
}

/** Puts the fonts that a style sheet names beside it, and gives it a name by what it then says. */
function finishStyles(assets: string, path: string): string {
  const text = readFileSync(path, 'utf8').replace(
    /\/fonts\/([\w-]+\.woff2)/g,
    (_, name: string) => {
      const folder = FONT_FOLDERS.find((each) => existsSync(join(each, name)));
      if (folder === undefined) throw new Error(`no font package holds ${name}`);
      return `/assets/${store(assets, name, readFileSync(join(folder, name)))}`;
    },
  );
  rmSync(path);
  return store(assets, basename(path).replace(/-[^-]+\.css$/, '.css'), Buffer.from(text));
}

/** The name under which it is stored, with the hash of its content. */
function store(assets: string, name: string, content: Uint8Array): string {
  const [, stem, ending] = /^(.*)(\.\w+)$/.exec(name)!;
  const stored = `${stem}-${Bun.hash(content).toString(36)}${ending}`;
  writeFileSync(join(assets, stored), content);
  return stored;
}

function entryName(built: Bun.BuildOutput): string {
  return basename(built.outputs.find((file) => file.kind === 'entry-point')!.path);
}

/** What the start script loads for every page, with all that it imports: named in the page, so that a browser need not find one by the other. */
function soonAfter(assets: string, script: string): string[] {
  const read = (name: string) => readFileSync(join(assets, name), 'utf8');
  const main = [...read(script).matchAll(/import\("\/assets\/(main-[^"]+\.js)"\)/g)].map(
    ([, name]) => name,
  );
  if (main.length !== 1) throw new Error(`the start script loads ${main.length} main scripts`);
  const wanted = [script, ...main];
  const seen = new Set<string>();
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    wanted.push(...staticImports(read(name)));
  }
  seen.delete(script);
  return [...seen].sort();
}

interface PageNames {
  readonly script: string;
  readonly soon: readonly string[];
  readonly styles: string;
  readonly icon: string;
}

function page(names: PageNames): string {
  return readFileSync(join(WEB, 'index.html'), 'utf8')
    .replace('{icon}', `/assets/${names.icon}`)
    .replace('{styles}', `<link rel="stylesheet" href="/assets/${names.styles}">`)
    .replace(
      '{scripts}',
      [
        `<script type="module" async src="/assets/${names.script}"></script>`,
        ...names.soon.map((name) => `<link rel="modulepreload" href="/assets/${name}">`),
      ].join('\n    '),
    );
}

function compressIn(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isFile() || !COMPRESSED.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const bytes = readFileSync(path);
    // The best two levels take seconds for a few percent.
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: 9,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    };
    writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  }
}

/** What a browser takes before it shows the first page: the page, its script and what that imports at once, styles, and the two Latin fonts. */
export function firstLoad(out = WEB_DIST): Record<string, number> {
  const assets = join(out, 'assets');
  const html = readFileSync(join(out, 'index.html'), 'utf8');
  const wanted = [...html.matchAll(/\/assets\/([^"]+)/g)].map((match) => match[1]);
  const seen = new Set<string>();
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    if (name.endsWith('.js'))
      wanted.push(...staticImports(readFileSync(join(assets, name), 'utf8')));
  }
  for (const name of readdirSync(assets))
    if (/-latin-wght-normal-.*woff2$/.test(name)) seen.add(name);
  const sent = (path: string) => statSync(existsSync(`${path}.br`) ? `${path}.br` : path).size;
  const sizes = [...seen].sort().map((name) => [name, sent(join(assets, name))]);
  return { 'index.html': sent(join(out, 'index.html')), ...Object.fromEntries(sizes) };
}

function staticImports(script: string): string[] {
  return [...script.matchAll(/(?:from|import)"\/assets\/([^"]+\.js)"/g)].map((match) => match[1]);
}

/** What a compiled program holds in place of web/dist: base64 by path, in one packed file (src/console/server/bundle.ts reads it). */
export async function embeddedConsole(): Promise<Uint8Array<ArrayBuffer>> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-web-'));
  try {
    await buildWeb(join(folder, 'dist'));
    const entries = readdirSync(join(folder, 'dist'), { recursive: true, withFileTypes: true });
    const files = entries
      // Every browser takes brotli; whoever does not is given the file itself.
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.gz'))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [relative(join(folder, 'dist'), path), readFileSync(path).toString('base64')]);
    return new Uint8Array(gzipSync(JSON.stringify(Object.fromEntries(files))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Everything that the built console comes from. */
export function webSources(): string[] {
  const sources = readdirSync(join(WEB, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
    .map((entry) => join(entry.parentPath, entry.name));
  return [...sources, ...OTHER_SOURCES.map((path) => join(ROOT, path))];
}

if (import.meta.main) {
  if (process.argv.includes('--if-stale')) {
    // Beside the lab that it is for: only what goes wrong is of interest there.
    if (isWebStale()) await buildWeb();
  } else {
    const { firstLoad: sizes, files } = await buildWeb();
    const bytes = Object.values(sizes).reduce((sum, each) => sum + each, 0);
    process.stderr.write(`web/dist: ${files} files, ${Math.ceil(bytes / 1000)} kB on first load\n`);
  }
}
