/** The console names commands for a terminal: each of them exists, with the flags that it names. */
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { buildProgram } from '../src/cli/program.ts';

const WEB = join(import.meta.dir, '../web/src');
/** In quotes, to their end, without what the shell reads. What is put in stands for a word; right behind one it may be empty. */
const QUOTED = /(['"`])(tulle [a-z](?:(?!\1)[^\n])*)\1/g;

interface Named {
  readonly file: string;
  readonly line: string;
}

function named(): Named[] {
  return readdirSync(WEB, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !/\.test\.tsx?$/.test(file))
    .flatMap((file) =>
      [...readFileSync(join(WEB, file), 'utf8').matchAll(QUOTED)].map((match) => ({
        file,
        line: match[2]
          .replace(/ <<.*$/, '')
          .replace(/\s\$\{[^}]*\}/g, ' x')
          .replace(/\$\{[^}]*\}/g, ''),
      })),
    );
}

function problemOf(line: string): string | undefined {
  let command: Command = buildProgram();
  const words = line.split(/\s+/).slice(1);
  while (command.commands.length > 0) {
    const word = words.shift();
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) return `there is no ${command.name()} ${word}`;
    command = next;
  }
  const known = new Set(command.options.flatMap(({ short, long }) => [short, long]));
  const unknown = words.find((word) => /^-./.test(word) && !known.has(word));
  if (unknown !== undefined) return `${command.name()} has no ${unknown}`;
  const takesWords = command.registeredArguments.length > 0;
  const values = command.options.filter(({ required }) => required);
  const rest = words.filter(
    (word, at) =>
      !word.startsWith('-') &&
      !values.some(({ short, long }) => [short, long].includes(words[at - 1])),
  );
  return rest.length > 0 && !takesWords && rest[0] !== 'x'
    ? `${command.name()} takes no ${rest[0]}`
    : undefined;
}

test('every command that the console names exists', () => {
  const found = named();
  expect(found.length).toBeGreaterThan(20);
  const problems = found.flatMap(({ file, line }) => {
    const problem = problemOf(line);
    return problem === undefined ? [] : [`${file}: ${line}: ${problem}`];
  });
  expect(problems).toEqual([]);
});

test('problemOf sees a command, a flag and a word that are not there', () => {
  expect(problemOf('tulle analyze -A')).toBe('there is no tulle analyze');
  expect(problemOf('tulle proxy frobnicate')).toBe('there is no proxy frobnicate');
  expect(problemOf('tulle graph --hide x')).toBe('graph has no --hide');
  expect(problemOf('tulle tap -n shop deploy/cart')).toBe('tap takes no deploy/cart');
  expect(problemOf('tulle tap -n shop --workload shop/cart')).toBeUndefined();
});
