import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { DeltaDiscoveryResponse, Resource } from '#wire/protobuf/discovery.ts';
import { Any } from '#wire/protobuf/well-known.ts';
import { encodedResource, encodeResponse } from './encode-response.ts';

const resource = fc
  .record({
    name: fc.string(),
    version: fc.string(),
    // Lengths of one, two and three bytes.
    size: fc.constantFrom(0, 1, 100, 127, 128, 300, 16_383, 16_384, 40_000),
    aliases: fc.array(fc.string(), { maxLength: 2 }),
    isEncoded: fc.boolean(),
  })
  .map(({ name, version, size, aliases, isEncoded }) => {
    const value = new Uint8Array(size).fill(7);
    const made = Resource.create({
      name,
      version,
      aliases,
      resource: Any.create({ type_url: 't', value }),
    });
    return { plain: made, given: isEncoded ? encodedResource(made) : made };
  });

test('encodeResponse says what the codec says, of encoded and other resources', () => {
  fc.assert(
    fc.property(
      fc.array(resource, { maxLength: 5 }),
      fc.array(fc.string(), { maxLength: 3 }),
      fc.string(),
      (resources, removed, nonce) => {
        const response = DeltaDiscoveryResponse.create({
          type_url: 'type',
          nonce,
          resources: resources.map(({ plain }) => plain),
          removed_resources: removed,
        });
        const plain = DeltaDiscoveryResponse.encode(response);
        const ours = encodeResponse({
          ...response,
          resources: resources.map(({ given }) => given),
        });
        expect(ours.length).toBe(plain.length);
        expect(DeltaDiscoveryResponse.decode(ours)).toEqual(DeltaDiscoveryResponse.decode(plain));
      },
    ),
    { numRuns: 60 },
  );
});
