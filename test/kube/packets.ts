/** What goes over a node's wire, read by tcpdump. */
import type { KubeCluster } from './cluster.ts';

const PID_FILE = '/run/tcpdump.pid';

/** Packets that match the filter (pcap-filter(7)) while the work runs, as lines and as the text in them. */
export async function packetsOf(
  cluster: KubeCluster,
  node: string,
  filter: string,
  work: () => Promise<unknown>,
): Promise<string> {
  const listen = `echo $$ >${PID_FILE}; exec tcpdump -i eth0 --immediate-mode -nlA -s0 ${filter}`;
  const capture = Bun.spawn(cluster.nodeCommand(node, ['sh', '-c', listen]), {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const text = new Response(capture.stdout).text();
  const reader = capture.stderr.getReader();
  for (let said = ''; !said.includes('listening on'); ) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`tcpdump: ${said}`);
    said += Buffer.from(value).toString();
  }
  await work();
  await cluster.inNode(node, ['sh', '-c', `kill -INT $(cat ${PID_FILE})`]);
  return text;
}
