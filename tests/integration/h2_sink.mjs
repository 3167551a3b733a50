// An HTTP/2 receiver. h2_sink.mjs CERTIFICATE: prints its port, then a line of JSON for each request.
import fs from "node:fs";
import http2 from "node:http2";

const pem = fs.readFileSync(process.argv[2]);
const server = http2.createSecureServer({ key: pem, cert: pem, allowHTTP1: true });
let sessions = 0;
server.on("session", () => sessions++);
server.on("request", (request, response) => {
    const parts = [];
    request.on("data", part => parts.push(part));
    request.on("end", () => {
        console.log(JSON.stringify({ version: request.httpVersion, sessions, headers: request.headers, body: Buffer.concat(parts).toString() }));
        response.writeHead(204);
        response.end();
    });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
