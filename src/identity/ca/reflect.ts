/** The polyfill that the X.509 library's container asks for at load, as an ES module: see x509.ts. */
import 'reflect-metadata';
