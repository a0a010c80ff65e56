/** Binds the schema seam to its implementation. */
import { plainSchemas, type SchemaProvider } from './schema-provider.ts';

export function createSchemas(): SchemaProvider {
  return plainSchemas;
}
