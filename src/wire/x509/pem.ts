/** PEM (RFC 7468): text armour of DER. */

const LINE = 64;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

export function encodePem(label: string, der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64');
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += LINE) lines.push(text.slice(at, at + LINE));
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Each certificate of a bundle as its own PEM text, in order; what stands between them is dropped. */
export function splitCertificates(bundle: string): string[] {
  return [...bundle.matchAll(CERTIFICATE)].map(([text]) => `${text}\n`);
}

/** DER of each block with that label, in order; other blocks and what stands between them are skipped. */
export function decodePem(label: string, text: string): Uint8Array[] {
  const blocks = text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g);
  return [...blocks]
    .filter(([, found]) => found === label)
    .map(([, , body]) => new Uint8Array(Buffer.from(body, 'base64')));
}
