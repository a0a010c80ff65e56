/** `tulle role sample NAME`: the built-in workloads. Each is loaded alone, so that a pod of it stays small. */

export async function runSample(argv: string[]): Promise<void> {
  const [name, ...rest] = argv;
  if (name === 'http') (await import('./http.ts')).runHttpSample(process.env);
  else if (name === 'load') await (await import('./load.ts')).runLoadSample(rest);
  else {
    process.stderr.write(`error: unknown sample ${name ?? ''}; one of http, load\n`);
    process.exit(2);
  }
}
