/** tulle.v1.TlsMaterial: certificate, key and roots for one proxy that may have them. Its bytes are never logged. */
import type { TlsMaterial } from '#model/route/gateway-config.ts';
import { decodeJson, encodeJson, missingText } from './json.ts';
import type { Decoded, ResourceType } from './resource-type.ts';

const PEMS = ['certificateChain', 'privateKey', 'roots', 'revocationList'] as const;

export const TLS_MATERIAL: ResourceType<TlsMaterial> = {
  typeUrl: 'type.googleapis.com/tulle.v1.TlsMaterial',
  name: ({ name }) => name,
  encode: encodeJson,
  decode(bytes): Decoded<TlsMaterial> {
    const json = decodeJson(bytes);
    // The reason goes into a NACK and a log: it must not quote what could not be read.
    if (typeof json === 'string') return { reason: 'not a JSON object' };
    if (missingText(json, ['name']) !== undefined) return { reason: 'field name is missing' };
    const bad = PEMS.find((key) => json[key] !== undefined && typeof json[key] !== 'string');
    if (bad !== undefined) return { reason: `${String(json.name)}: field ${bad} is no text` };
    return { value: json as unknown as TlsMaterial };
  },
  aliases: () => [],
};
