/** Error codes of the lab, each with what to do next. */

export const LAB_ERRORS = {
  LAB_TOOL_MISSING: 'apt-get install iproute2 nftables util-linux',
  LAB_NO_NAMESPACES:
    'run it as root, or allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1',
  LAB_PORT_TAKEN: 'free the port, or choose another with --console-port or --api-port',
  LAB_STATE_DIR: 'set TULLE_HOME to a directory that you can write to',
  LAB_DISK_FULL: 'free some space, or set TULLE_HOME to a directory on another disk',
  LAB_RUNNING: 'tulle lab status shows it; tulle lab down stops it',
  LAB_NOT_RUNNING: 'tulle lab up',
  LAB_START_FAILED: 'read the log named above; tulle lab up tries again',
  LAB_STOPPED: 'tulle lab up starts it again',
  LAB_TOPOLOGY:
    'check that the kernel has veth, bridge and nf_tables: modprobe -a veth bridge nf_tables',
  LAB_MANIFEST: 'correct the object that the message names, then run it again',
  LAB_COMMAND_FAILED: 'the message is what the program printed',
  LAB_STOP_FAILED: 'kill the process named in the message, then run tulle lab down again',
} as const;
