// A command line for the JavaScript build of solc: standard JSON from stdin to stdout.
//
//   node solc.cjs SOLJSON --version
//   node solc.cjs SOLJSON --standard-json < input.json
//
// Imports are not looked up: every source must be in the input.
"use strict";

const fs = require("fs");
const path = require("path");

function fail(sentence) {
  process.stderr.write(sentence + "\n");
  process.exit(1);
}

function main(soljson, options) {
  if (!soljson) fail("usage: solc.cjs SOLJSON [--version | --standard-json]");
  const compiler = require(path.resolve(soljson));
  if (options.includes("--version") || options.includes("-V")) {
    const version = compiler.cwrap("solidity_version", "string", [])();
    // The prover reads the platform out of the version and knows only native builds.
    const native = version.replace(".Emscripten.clang", ".Linux.g++");
    process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${native}\n`);
  } else if (options.length === 0 || options.includes("--standard-json")) {
    const compile = compiler.cwrap("solidity_compile", "string", ["string", "number", "number"]);
    process.stdout.write(compile(fs.readFileSync(0, "utf8"), 0, 0) + "\n");
  } else {
    fail(`This solc knows --version and --standard-json, not ${options.join(" ")}.`);
  }
}

main(process.argv[2], process.argv.slice(3));
