/**
 * The iframe stream, for pages that can use nothing else.
 *
 * A new element per connection: setting `src` again would trap the Back button in its history. It
 * goes in after `load`, or the tab would spin for ever. `load` fires at a clean end only; of a cut
 * connection no browser says anything, so silence has to be noticed.
 */

/** @type {import("./face.js").Transport["open"]} */
export function openIframe({ address, cursor }, sink) {
  const frame = document.createElement("iframe");
  /** @param {MessageEvent} event */
  const listen = ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    if (data.type === "error") sink.end({ reason: data.code, status: data.status, final: !data.retry });
    else sink.frame(data);
  };
  const insert = () => document.body.append(frame);
  frame.hidden = true;
  frame.title = "Reddot";
  frame.setAttribute("sandbox", "allow-scripts");
  frame.src = address("iframe", { cursor }).href;
  frame.onload = frame.onerror = () => sink.end({ reason: "stream ended" });
  addEventListener("message", listen);
  if (document.readyState === "complete") insert();
  else addEventListener("load", insert);
  const close = () => {
    removeEventListener("message", listen);
    removeEventListener("load", insert);
    frame.remove();
  };
  return { close };
}
