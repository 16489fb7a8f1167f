// Makes a fetch client of each document: node generate.mjs DOCUMENTS OUTPUT
// (directories: v1_NN.json in, v1_NN.ts out).
import { readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { generateApi } from "swagger-typescript-api";

const [documents, output] = process.argv.slice(2).map((dir) => resolve(dir));
for (const name of readdirSync(documents).sort()) {
  await generateApi({
    input: join(documents, name),
    output,
    fileName: basename(name, ".json") + ".ts",
    cleanOutput: false,
    silent: true,
    httpClientType: "fetch",
    moduleNameFirstTag: true,
    primitiveTypeConstructs: (types) => ({
      ...types,
      file: () => "BodyInit",
      string: { ...types.string, binary: () => "BodyInit", file: () => "BodyInit" },
    }),
  });
}
