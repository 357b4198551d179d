// Listen and publish with MQTT.js, in Node; in a browser the address is ws://HOST:8000/mqtt.
//
//     npm install mqtt && node mqttjs_client.mjs [ADDRESS]

import mqtt from "mqtt";

const address = process.argv[2] ?? "mqtt://127.0.0.1:1883";
const client = await mqtt.connectAsync(address);

client.on("message", async (topic, payload) => {
  console.log(topic, payload.toString());
  await client.endAsync();
});
await client.subscribeAsync("rooms/+/light", { qos: 1 });
await client.publishAsync("rooms/kitchen/light", '{"on": true}', { qos: 1 });
