/**
 * The X.509 library, behind the polyfill that its container needs at load; nobody else imports either. Both are CommonJS and
 * depend on the order of imports, which is not the same everywhere: from source Bun runs such a package as soon as it has
 * read it, the first named first; in a bundle it runs where the code of its importer begins, after all ES modules that
 * the importer names. So the polyfill is named here, first, and in an ES module of its own.
 */
import 'reflect-metadata';
import './reflect.ts';

export * from '@peculiar/x509';
