/** What the delta protocol needs to know of one type of resource. One file a type sits beside this one. */

/** A value, or the reason why the resource is refused (it goes into the NACK). */
export type Decoded<T> = { readonly value: T } | { readonly reason: string };

export interface ResourceType<T> {
  readonly typeUrl: string;
  /** The xDS resource name. */
  name(value: T): string;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): Decoded<T>;
  /** Other names under which on-demand clients may ask for it. */
  aliases(value: T): readonly string[];
}
