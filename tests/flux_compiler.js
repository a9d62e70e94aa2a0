// Checks Flux texts with InfluxData's own compiler: a JSON list of texts comes in, lists of complaints go out.
const { Lsp } = require("@influxdata/flux-lsp-node");

const texts = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const said = new Map();
const server = new Lsp();
server.onMessage((text) => {
  const message = JSON.parse(text);
  if (message.method !== "textDocument/publishDiagnostics") return;
  const number = Number(message.params.uri.match(/\d+/)[0]);
  const complaints = message.params.diagnostics.filter((d) => d.severity === 1).map((d) => d.message);
  said.set(number, [...new Set([...(said.get(number) ?? []), ...complaints])]);
});
server.run();

async function main() {
  const send = (message) => server.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  await send({ id: 1, method: "initialize", params: { capabilities: {}, processId: null, rootUri: null } });
  for (const [number, text] of texts.entries()) {
    // a folder for each: files of one folder are one package, in which a name may be given once
    const document = { uri: `file:///${number}/text.flux`, languageId: "flux", version: 1, text };
    await send({ method: "textDocument/didOpen", params: { textDocument: document } });
  }
  for (let tries = 0; said.size < texts.length && tries < 200; tries++) await new Promise((go) => setTimeout(go, 50));
  await new Promise((go) => setTimeout(go, 200)); // of some texts it complains twice
  console.log(JSON.stringify(texts.map((_, number) => said.get(number) ?? ["the compiler said nothing"])));
  process.exit(0);
}
main();
