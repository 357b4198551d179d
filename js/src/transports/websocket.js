/** WebSocket: both directions on one connection, and none of the browser's six. */

/** @type {import("./face.js").Transport} */
export const websocket = {
  name: "websocket",
  silenceMs: 2.5 * 25_000,
  ticket: true,

  open({ address, cursor }, sink) {
    const url = address("ws", { cursor });
    url.protocol = url.protocol.replace("http", "ws");
    // Firefox throws here where a policy forbids it.
    const socket = new WebSocket(url, "reddot.v1");
    /** @param {object} command */
    const send = (command) => socket.send(JSON.stringify(command));
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      sink.frame(frame);
      // Nothing but data proves a connection, and the first heartbeat is far away.
      if (frame.type === "sync" && socket.readyState === 1) send({ type: "ping" });
    };
    socket.onclose = ({ code, reason }) => {
      const [, name, action] = /^(?:(\w+) )?reconnect=(\w+)$/.exec(reason) ?? [];
      sink.end({ reason: name ?? `closed, ${code}`, status: code === 4401 ? 401 : 0, final: action === "never" });
    };
    return { close: () => socket.close(), send };
  },
};
