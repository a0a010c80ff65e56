/** What the bundler gives: styles by class name, and the address of the graph's worker. */
declare module '*.module.css' {
  const classes: Readonly<Record<string, string>>;
  export default classes;
}

declare module '*.css';

declare const GRAPH_WORKER: string;
