import { expect, test } from 'bun:test';
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  Resource,
} from '#wire/protobuf/discovery.ts';
import { SharedNames } from '../delta/holdings.ts';
import { DeltaStream } from './delta-stream.ts';

const TYPE = 'type.test/T';

function open(names: SharedNames, held: readonly string[]) {
  const sent: DeltaDiscoveryResponse[] = [];
  const view = {
    names: () => held,
    get: (name: string) => Resource.create({ name, version: '1' }),
    withAliases: (name: string) => Resource.create({ name, version: '1' }),
    resolve: () => [],
    implied: () => false,
  };
  const stream = new DeltaStream({
    send: (bytes) => sent.push(DeltaDiscoveryResponse.decode(bytes) as DeltaDiscoveryResponse),
    admit: () => undefined,
    view: () => view,
    names: () => names,
    mayStart: () => true,
    mayTakeBack: () => true,
    nextNonce: () => 'n',
    onAnswer: () => undefined,
    onSent: () => undefined,
  });
  stream.onMessage(DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.create({ type_url: TYPE })));
  return { stream, sent };
}

test('DeltaStream gives up the names that its client held, and those alone, when it is closed', () => {
  const names = new SharedNames();
  const [first, second] = [open(names, ['a', 'b']), open(names, ['b', 'c'])];
  expect(first.sent[0].resources.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(names.size).toBe(3);
  first.stream.close();
  expect(names.size).toBe(2);
  expect(second.stream.status()[0].resources).toBe(2);
  second.stream.close();
  expect(names.size).toBe(0);
});
