/**
 * Schemas (OpenAPI 3.0) of the interfaces that the console's API is written down in. Reads the part of TypeScript that those files use: interfaces with
 * `extends` and Omit, unions, arrays, records, objects in place. What it does not know is an error, so that nothing is left out unseen.
 */

export interface Schema {
  [member: string]: unknown;
}

const TOKEN =
  /\s+|\/\*\*[\s\S]*?\*\/|\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\]|\\.)*'|-?\d+(?:\.\d+)?|[A-Za-z_$][\w$]*|[{}[\]()<>:;,?|=&.*]/g;

/** By name: everything that the texts export. */
export function schemasOf(texts: readonly string[]): Record<string, Schema> {
  const parser = new Declarations();
  for (const text of texts) parser.read(text);
  return parser.schemas;
}

interface Interface {
  readonly bases: readonly { readonly name: string; readonly omitted: readonly string[] }[];
  readonly body: Schema;
}

class Declarations {
  readonly #interfaces = new Map<string, Interface>();
  readonly #aliases = new Map<string, Schema>();
  #tokens: string[] = [];
  #at = 0;

  read(text: string): void {
    this.#tokens = [...text.matchAll(TOKEN)]
      .map(([token]) => token)
      .filter((token) => !/^(\s|\/\/|\/\*[^*])/.test(token));
    this.#at = 0;
    while (this.#at < this.#tokens.length) {
      const comment = this.#comment();
      if (this.#take('export')) {
        if (this.#take('interface')) this.#interface(comment);
        else if (this.#take('type')) this.#alias(comment);
      } else this.#at += 1;
    }
  }

  get schemas(): Record<string, Schema> {
    const all = [
      ...this.#aliases,
      ...[...this.#interfaces].map(([name]): [string, Schema] => [name, this.#whole(name)]),
    ];
    return Object.fromEntries(all.sort(([left], [right]) => (left < right ? -1 : 1)));
  }

  #whole(name: string): Schema {
    const found = this.#interfaces.get(name);
    if (found === undefined) throw new Error(`no interface ${name}`);
    const properties: Record<string, unknown> = {};
    const required: string[] = [];
    for (const base of found.bases) {
      const whole = this.#whole(base.name);
      for (const [member, schema] of Object.entries(whole.properties as Schema))
        if (!base.omitted.includes(member)) properties[member] = schema;
      required.push(
        ...(whole.required as string[]).filter((member) => !base.omitted.includes(member)),
      );
    }
    Object.assign(properties, found.body.properties);
    return {
      ...found.body,
      properties,
      required: [...new Set([...required, ...(found.body.required as string[])])],
    };
  }

  #interface(comment: string): void {
    const name = this.#next();
    const bases: { name: string; omitted: string[] }[] = [];
    if (this.#take('extends'))
      do {
        const base = this.#next();
        if (base !== 'Omit') {
          bases.push({ name: base, omitted: [] });
          continue;
        }
        this.#expect('<');
        const omitted: string[] = [];
        const from = this.#next();
        this.#expect(',');
        do omitted.push(this.#next().slice(1, -1));
        while (this.#take('|'));
        this.#expect('>');
        bases.push({ name: from, omitted });
      } while (this.#take(','));
    this.#expect('{');
    this.#interfaces.set(name, { bases, body: described(this.#members(), comment) });
  }

  #alias(comment: string): void {
    const name = this.#next();
    this.#expect('=');
    this.#aliases.set(name, described(this.#type(), comment));
    this.#take(';');
  }

  /** After `{`, up to and with `}`. */
  #members(): Schema {
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    for (;;) {
      const comment = this.#comment();
      if (this.#take('}')) break;
      this.#take('readonly');
      const name = this.#next().replaceAll("'", '');
      const isOptional = this.#take('?');
      this.#expect(':');
      properties[name] = described(this.#type(), comment);
      if (!isOptional) required.push(name);
      if (!this.#take(';')) this.#take(',');
    }
    return { type: 'object', properties, required };
  }

  #type(): Schema {
    this.#take('|');
    const parts = [this.#array()];
    while (this.#take('|')) parts.push(this.#array());
    return union(parts);
  }

  #array(): Schema {
    this.#take('readonly');
    let schema = this.#one();
    while (this.#peek() === '[' && this.#tokens[this.#at + 1] === ']') {
      this.#at += 2;
      schema = { type: 'array', items: schema };
    }
    return schema;
  }

  #one(): Schema {
    const token = this.#next();
    if (token.startsWith("'")) return { type: 'string', enum: [token.slice(1, -1)] };
    switch (token) {
      case 'string':
        return { type: 'string' };
      case 'number':
        return { type: 'number' };
      case 'boolean':
        return { type: 'boolean' };
      case 'null':
        return { nullable: true };
      case 'unknown':
      case 'object':
        return {};
      case '{':
        return this.#members();
      case '(': {
        const schema = this.#type();
        this.#expect(')');
        return schema;
      }
      case '[': {
        const items: Schema[] = [];
        while (!this.#take(']')) {
          if (this.#tokens[this.#at + 1] === ':') this.#at += 2;
          items.push(this.#type());
          this.#take(',');
        }
        return {
          type: 'array',
          items: union(items),
          minItems: items.length,
          maxItems: items.length,
        };
      }
      case 'Readonly': {
        this.#expect('<');
        const schema = this.#type();
        this.#expect('>');
        return schema;
      }
      case 'Record': {
        this.#expect('<');
        this.#type();
        this.#expect(',');
        const values = this.#type();
        this.#expect('>');
        return { type: 'object', additionalProperties: values };
      }
      default:
        if (!/^[A-Z]/.test(token)) throw new Error(`${token} is not understood`);
        return { $ref: `#/components/schemas/${token}` };
    }
  }

  /** Of what follows. */
  #comment(): string {
    let text = '';
    while (this.#peek()?.startsWith('/**')) text = this.#next();
    return text
      .replace(/^\/\*\*|\*\/$/g, '')
      .split('\n')
      .map((line) => line.replace(/^\s*\*? ?/, '').trim())
      .filter((line) => line !== '')
      .join(' ');
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error('the text ends too early');
    return token;
  }

  #take(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at += 1;
    return true;
  }

  #expect(token: string): void {
    const found = this.#next();
    if (found !== token)
      throw new Error(
        `${token} is missing before ${found} ${this.#tokens.slice(this.#at, this.#at + 5).join(' ')}`,
      );
  }
}

function union(parts: readonly Schema[]): Schema {
  const isNullable = parts.some((part) => part.nullable === true && part.type === undefined);
  const others = parts.filter((part) => !(part.nullable === true && part.type === undefined));
  const nullable = isNullable ? { nullable: true } : {};
  const [first] = others;
  if (others.every((part) => JSON.stringify(part) === JSON.stringify(first)))
    return { ...first, ...nullable };
  if (others.every((part) => Array.isArray(part.enum)))
    return { type: 'string', enum: others.flatMap((part) => part.enum as string[]), ...nullable };
  return { anyOf: others, ...nullable };
}

function described(schema: Schema, comment: string): Schema {
  // Beside a $ref nothing else counts in OpenAPI 3.0.
  return comment === '' || schema.$ref !== undefined ? schema : { description: comment, ...schema };
}
