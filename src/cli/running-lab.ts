/** Finds the lab that runs on this machine for this user, if any. */
import { labConsoleUrl, labKubeconfig } from '#lab/launcher.ts';

export interface RunningLab {
  kubeconfig: string;
  consoleUrl: string;
}

export function readRunningLab(): RunningLab | undefined {
  const kubeconfig = labKubeconfig();
  const consoleUrl = labConsoleUrl();
  return kubeconfig === undefined || consoleUrl === undefined
    ? undefined
    : { kubeconfig, consoleUrl };
}
