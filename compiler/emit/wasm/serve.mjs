// Serves this folder to browsers on this machine, isolated as threads need it.
//
//     node serve.mjs [PORT]

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const types = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const server = createServer(async (request, answer) => {
  const path = normalize("/" + decodeURIComponent(new URL(request.url, "http://localhost").pathname));
  const file = path === "/" ? "/index.html" : path;
  try {
    const data = await readFile(fileURLToPath(new URL("." + file, import.meta.url)));
    answer.writeHead(200, {
      "Content-Type": types[extname(file)] ?? "application/octet-stream",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    });
    answer.end(data);
  } catch {
    answer.writeHead(404).end();
  }
});
server.listen(Number(process.argv[2] ?? 8000), "127.0.0.1",
  () => console.log(`http://localhost:${server.address().port}/`));
