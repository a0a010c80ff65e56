/** A `TelemetrySink` that keeps what it is told. */
import type { FrameTime, ProxyKey, TelemetrySink } from '#console/telemetry-sink.ts';
import type { FlowEdge, FlowFrame, FlowSample } from '#telemetry/flow/flow-frame.ts';

export class RecordingSink implements TelemetrySink {
  readonly edges = new Map<number, FlowEdge>();
  readonly frames: {
    readonly proxy: ProxyKey;
    readonly frame: FlowFrame;
    readonly time: FrameTime;
  }[] = [];

  opened(): number {
    return -1;
  }

  edge(_proxy: ProxyKey, edge: FlowEdge): void {
    this.edges.set(edge.id, edge);
  }

  frame(proxy: ProxyKey, frame: FlowFrame, time: FrameTime): void {
    this.frames.push({ proxy, frame, time });
  }

  spans(): void {
    return;
  }

  records(): void {
    return;
  }

  dropped(): void {
    return;
  }

  closed(): void {
    return;
  }

  /** Everything that was booked, edge by edge. */
  get booked(): { readonly edge: FlowEdge; readonly sample: FlowSample }[] {
    return this.frames.flatMap(({ frame }) =>
      frame.samples.flatMap((sample) => {
        const edge = this.edges.get(sample.edge);
        return edge === undefined ? [] : [{ edge, sample }];
      }),
    );
  }

  get requests(): number {
    return this.booked.reduce((sum, { sample }) => sum + sample.requests, 0);
  }
}
