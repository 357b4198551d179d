// A push service with one browser behind it: /push/STATUS answers STATUS. It checks what RFC 8030,
// 8291 and 8292 ask of a request, with node's own cryptography and the package http_ece, and prints
// one JSON line for the address and key of its browser, then one for each request.

import { createECDH, createPublicKey, randomBytes, verify } from "node:crypto";
import { createServer } from "node:http";
import ece from "http_ece";

const browser = createECDH("prime256v1");
browser.generateKeys();
const auth = randomBytes(16);

function tell(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

function checkVapid(field, origin) {
  const [, token, key] = /^vapid t=([\w-]+\.[\w-]+\.[\w-]+), k=([\w-]+)$/.exec(field);
  const point = Buffer.from(key, "base64url");
  if (point.length !== 65 || point[0] !== 4) throw new Error("k is no point");
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((n) => n.toString("base64url"));
  const publicKey = createPublicKey({ format: "jwk", key: { kty: "EC", crv: "P-256", x, y } });
  const [head, claims, signature] = token.split(".");
  const read = (part) => JSON.parse(Buffer.from(part, "base64url").toString());
  if (read(head).alg !== "ES256") throw new Error("not ES256");
  const signed = verify(
    "sha256",
    Buffer.from(`${head}.${claims}`),
    { key: publicKey, dsaEncoding: "ieee-p1363" },
    Buffer.from(signature, "base64url"),
  );
  if (!signed) throw new Error("the signature is wrong");
  const { aud, exp, sub } = read(claims);
  const left = exp - Date.now() / 1000;
  if (aud !== origin) throw new Error(`aud is ${aud}`);
  if (left <= 0 || left > 86400) throw new Error(`exp is ${left} s away`);
  if (!/^(mailto:|https:)/.test(sub)) throw new Error(`sub is ${sub}`);
  return key;
}

function check(request, body) {
  const { headers } = request;
  if (request.method !== "POST") throw new Error("not POST");
  if (!/^\d+$/.test(headers.ttl)) throw new Error("no TTL");
  if (!["very-low", "low", "normal", "high"].includes(headers.urgency)) throw new Error("urgency");
  if (headers.topic && !/^[\w-]{1,32}$/.test(headers.topic)) throw new Error("topic");
  if (headers["content-encoding"] !== "aes128gcm") throw new Error("encoding");
  if (body.length > 4096) throw new Error("longer than 4096 bytes");
  const key = checkVapid(headers.authorization, `http://${headers.host}`);
  const plain = ece.decrypt(body, { version: "aes128gcm", privateKey: browser, authSecret: auth });
  return { key, length: body.length, payload: JSON.parse(plain.toString()) };
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const status = Number(request.url.split("/").at(-1));
  try {
    tell({ status, ...check(request, Buffer.concat(parts)) });
    response.writeHead(status, status === 429 ? { "Retry-After": "17" } : {});
    response.end();
  } catch (error) {
    tell({ status: 400, error: String(error) });
    response.writeHead(400);
    response.end(String(error));
  }
});

server.listen(0, "127.0.0.1", () => {
  tell({
    url: `http://127.0.0.1:${server.address().port}/push/`,
    keys: {
      p256dh: browser.getPublicKey().toString("base64url"),
      auth: auth.toString("base64url"),
    },
  });
});
