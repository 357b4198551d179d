// MQTT.js, unchanged: one line "TOPIC PAYLOAD" on stdout for each message.
//
// node mqtt_client.mjs ADDRESS LEVEL FILTER   (NODE_EXTRA_CA_CERTS=FILE for TLS)

import mqtt from "mqtt";

const [address, level, filter] = process.argv.slice(2);
const client = await mqtt.connectAsync(address, { protocolVersion: Number(level) });
client.on("message", (topic, payload) => process.stdout.write(`${topic} ${payload}\n`));
await client.subscribeAsync(filter, { qos: 1 });
