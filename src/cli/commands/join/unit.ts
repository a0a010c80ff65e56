/** A systemd unit that keeps a machine in the mesh. */

import { basename, join, resolve } from 'node:path';

const FILE_FLAGS = ['--kubeconfig', '--token-file', '--root-file', '--state-dir'];

/** The program as systemd can start it: itself, or the launcher of the checkout that it runs from. */
export function programPath(execPath: string): string {
  const compiled = !/^bun(\.exe)?$/.test(basename(execPath));
  return compiled ? execPath : join(import.meta.dir, '../../../../tulle');
}

/** `args` as they were given here, `--print-unit` among them; files are found from everywhere. */
export function unitText(program: string, args: readonly string[]): string {
  const words = args
    .map((word, index) => (FILE_FLAGS.includes(args[index - 1]) ? resolve(word) : word))
    .filter((word) => word !== '--print-unit');
  return `[Unit]
Description=Tulle: this machine is a workload of the mesh
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${[program, ...words].map(quoted).join(' ')}
# Killed, it leaves its rules: what is for the mesh is refused until it runs again.
Restart=always
RestartSec=1
KillMode=mixed
TimeoutStopSec=60
OOMScoreAdjust=-900
RuntimeDirectory=tulle/join
RuntimeDirectoryMode=0700
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_ADMIN CAP_DAC_READ_SEARCH
ProtectSystem=strict
ReadWritePaths=/run
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
`;
}

/** systemd.service(5), command lines: quotes, backslashes, specifiers and variables mean something. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
