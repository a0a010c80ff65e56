/** The overview at `/`: one page without dependencies, refreshed from the JSON. Values enter as text, never as HTML. */

const STYLE = `
:root { color-scheme: light dark; --line: #8883; --soft: #8889; --good: #2a9d5c; --bad: #d64545; --warn: #d99a2b; }
* { box-sizing: border-box; }
body { margin: 0; font: 14px/1.5 system-ui, sans-serif; }
header { display: flex; gap: 1rem; align-items: baseline; padding: 1rem 1.5rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.1rem; margin: 0; letter-spacing: .02em; }
h2 { font-size: .95rem; margin: 1.5rem 0 .5rem; }
main { padding: 0 1.5rem 2rem; max-width: 1200px; margin: 0 auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .75rem; margin-top: 1rem; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.card b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.soft { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.dot { display: inline-block; width: .6em; height: .6em; border-radius: 50%; background: var(--soft); margin-right: .4em; }
.good { background: var(--good); } .bad { background: var(--bad); } .warn { background: var(--warn); }
select { font: inherit; }`;

const SCRIPT = `
const element = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};
const number = (value, digits = 1) => (value === undefined || value === null ? '–' : value.toFixed(digits));
const share = (value) => (value === undefined || value === null ? '–' : Math.round(value * 100) + ' %');
const bytes = (value) => {
  const units = ['B/s', 'kB/s', 'MB/s', 'GB/s'];
  let at = 0;
  while (value >= 1000 && at < 3) { value /= 1000; at++; }
  return value.toFixed(at ? 1 : 0) + ' ' + units[at];
};
const label = (id) => {
  const [kind, namespace, ...name] = id.split('/');
  if (kind === 'unknown') return 'outside the mesh';
  return (kind === 'workload' ? '' : kind + ' ') + name.join('/').split('.svc.')[0] + (kind === 'service' ? '' : '.' + namespace);
};
function table(id, heads, rows, empty) {
  const place = document.getElementById(id);
  if (rows.length === 0) return place.replaceChildren(element('p', empty, 'soft'));
  const made = element('table');
  const head = made.createTHead().insertRow();
  for (const [text, numeric] of heads) head.append(element('th', text, numeric ? 'n' : ''));
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((cell, at) => {
      const made = element('td', undefined, heads[at][1] ? 'n' : '');
      if (cell && cell.dot) made.append(element('span', undefined, 'dot ' + cell.dot), cell.text);
      else made.textContent = cell;
      line.append(made);
    });
  }
  place.replaceChildren(made);
}
function card(title, value) {
  const made = element('div', undefined, 'card');
  made.append(element('b', value), element('span', title, 'soft'));
  return made;
}
const health = (edge) => (edge.errorRate > 0.05 ? 'bad' : edge.errorRate > 0 ? 'warn' : 'good');
function draw(graph, status) {
  const client = graph.edges.filter((edge) => edge.protocol === 'http' && edge.destination.startsWith('service/'));
  const requests = client.reduce((sum, edge) => sum + edge.requestsPerSecond, 0);
  const errors = client.reduce((sum, edge) => sum + edge.requestsPerSecond * edge.errorRate, 0);
  const synced = status.proxies.filter((proxy) => proxy.sync === 'synced').length;
  document.getElementById('cards').replaceChildren(
    card('requests/s', number(requests)),
    card('errors', requests ? share(errors / requests) : '–'),
    card('edges', String(graph.edges.length)),
    card('proxies in sync', synced + ' / ' + status.proxies.length),
    card('ejected endpoints', String(graph.ejections.length)),
    card('findings', String(status.findings.length)),
  );
  table('edges', [['from'], ['to'], ['protocol'], ['req/s', 1], ['errors', 1], ['p50 ms', 1], ['p99 ms', 1], ['bytes', 1], ['mTLS', 1]],
    graph.edges.map((edge) => [
      { dot: health(edge), text: label(edge.source) }, label(edge.destination), edge.protocol,
      edge.protocol === 'http' ? number(edge.requestsPerSecond) : '–', edge.protocol === 'http' ? share(edge.errorRate) : '–',
      number(edge.p50Ms), number(edge.p99Ms), bytes(edge.bytesSentPerSecond + edge.bytesReceivedPerSecond), share(edge.mtls),
    ]), 'No traffic in this window.');
  table('proxies', [['proxy'], ['kind'], ['node'], ['configuration'], ['certificates', 1], ['metrics']],
    status.proxies.map((proxy) => [
      { dot: proxy.sync === 'synced' ? 'good' : proxy.sync === 'refused' ? 'bad' : 'warn', text: proxy.namespace + '/' + proxy.name },
      proxy.kind, proxy.node, proxy.sync, String(proxy.certificates.length), proxy.scrapeError || (proxy.scrapedAt ? 'ok' : 'never'),
    ]), 'No proxies yet.');
  table('ejections', [['service'], ['subset'], ['endpoint'], ['reason'], ['back in s', 1]],
    graph.ejections.map((each) => [each.upstream, each.subset || '', each.workload || each.endpoint, each.reason,
      each.remainingMs === undefined ? '–' : number(each.remainingMs / 1000, 0)]), 'None.');
  table('findings', [['level'], ['resource'], ['field'], ['message']],
    status.findings.map((each) => [{ dot: each.level === 'error' ? 'bad' : 'warn', text: each.level }, each.resource, each.path, each.message]),
    'None: the configuration is in force as written.');
  document.getElementById('time').textContent = graph.generatedAt;
}
async function refresh() {
  try {
    const window = document.getElementById('window').value;
    const answers = await Promise.all(['api/graph?window=' + window, 'api/status'].map((path) => fetch(path).then((answer) => answer.json())));
    draw(...answers);
  } catch (error) {
    document.getElementById('time').textContent = 'the control plane does not answer: ' + error.message;
  }
  setTimeout(refresh, 2000);
}
refresh();`;

export const OVERVIEW_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tulle</title><style>${STYLE}</style></head>
<body>
<header><h1>Tulle</h1>
<label class="soft">window <select id="window"><option value="10">10 s</option><option value="30" selected>30 s</option>
<option value="60">1 min</option><option value="300">5 min</option></select></label>
<span id="time" class="soft"></span></header>
<main>
<div id="cards" class="cards"></div>
<h2>Traffic</h2><div id="edges" class="scroll"></div>
<h2>Ejected endpoints</h2><div id="ejections" class="scroll"></div>
<h2>Proxies</h2><div id="proxies" class="scroll"></div>
<h2>Configuration findings</h2><div id="findings" class="scroll"></div>
</main>
<script>${SCRIPT}</script>
</body></html>
`;
