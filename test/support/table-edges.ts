/** What the console reads out of a table of edges: the other end of what the control plane writes. */
export { edgesOf } from '../../web/src/graph/live/edge-table.ts';
