/** WebSocket: both directions on one connection, and none of the browser's six. */

/** @type {import("./face.js").Transport} */
export const websocket = {
  name: "websocket",
  silenceMs: 2.5 * 25_000,
  ticket: true,

  open(request, sink) {
    const url = request.address("ws", request.cursor ? { cursor: request.cursor } : {});
    url.protocol = url.protocol.replace("http", "ws");
    // Firefox throws here where a policy forbids it.
    const socket = new WebSocket(url, "reddot.v1");
    /** @param {object} command */
    const send = (command) => socket.send(JSON.stringify(command));
    socket.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      sink.frame(frame);
      // Nothing but data proves a connection, and the first heartbeat is far away.
      if (frame.type === "sync" && socket.readyState === 1) send({ type: "ping" });
    };
    socket.onclose = ({ code, reason }) => {
      const [, name, action] = /^(?:(\w+) )?reconnect=(\w+)$/.exec(reason) ?? [];
      sink.end({
        reason: name ?? `closed, ${code}`,
        status: code === 4401 ? 401 : undefined,
        final: action === "never",
      });
    };
    const close = () => {
      socket.onmessage = socket.onclose = null;
      socket.close();
    };
    return { close, send };
  },
};
