"""Listen and publish with paho-mqtt, the MQTT client that most Python programs have.

    python paho_client.py [HOST [PORT]]

Any MQTT client works the same: Reddot answers MQTT on its HTTP port too, so PORT may be either.
"""

import sys

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 1883


def heard(client: Client, _data: object, message: MQTTMessage) -> None:
    print(message.topic, message.payload.decode(), flush=True)
    if message.topic == "rooms/kitchen/light":
        client.disconnect()


client = Client(CallbackAPIVersion.VERSION2)
client.on_message = heard
client.on_connect = lambda client, *_: client.subscribe("rooms/+/light", qos=1)
client.on_subscribe = lambda client, *_: client.publish("rooms/kitchen/light", '{"on": true}', 1)
client.connect(HOST, PORT)
client.loop_forever()
