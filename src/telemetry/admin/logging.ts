/** `/logging`: shows and changes log levels while the proxy runs, with ztunnel's words (src/admin.rs). */
import type { LogLevels } from '#base/log.ts';

const HELP = `usage: POST /logging                                   (to list the levels)
usage: POST /logging?level=LEVEL                       (for everything)
usage: POST /logging?level=LEVEL,SCOPE=LEVEL,…         (for scopes such as access, node.xds)
usage: POST /logging?reset                             (as at the start)

levels: off|error|warn|info|debug|trace
`;

export function answerLogging(request: Request, levels: LogLevels): Response {
  const query = new URL(request.url).searchParams;
  if (request.method !== 'POST' && (request.method !== 'GET' || query.size > 0)) {
    return new Response(`changes need POST\n${HELP}`, { status: 405 });
  }
  if (query.has('reset')) levels.reset();
  const wanted = query.get('level') ?? '';
  if (wanted !== '' && !levels.set(wanted)) {
    return new Response(`Invalid level provided: ${JSON.stringify(wanted)}\n${HELP}`, {
      status: 400,
    });
  }
  return new Response(`current log level is ${levels}\n`);
}
