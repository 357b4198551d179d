/** The words of the panels and of the experiments. */

export const ABOUT = {
  short_poll: {
    name: "Short polling",
    address: "GET /v1/poll",
    cost: "Asks again and again, news or not. A message waits half an interval on average, but many share one answer.",
  },
  long_poll: {
    name: "Long polling",
    address: "GET /v1/longpoll",
    cost: "The answer is held until there is one. Prompt, and passes every proxy, at the price of a request per answer.",
  },
  iframe: {
    name: "iframe stream",
    address: "GET /v1/iframe",
    cost: "A page that never ends, one script per message. When it is cut nothing says so: only silence tells.",
  },
  sse: {
    name: "Server-sent events",
    address: "GET /v1/sse",
    cost: "One plain HTTP answer that never ends. Text, one way, one of six connections per host.",
  },
  mqtt: {
    name: "MQTT",
    address: "WS /mqtt",
    cost: "What devices speak: two bytes of header, quality of service, last will.",
  },
  websocket: {
    name: "WebSocket",
    address: "WS /v1/ws",
    cost: "One upgrade, then a few bytes around each message, both ways. Some proxies still refuse it.",
  },
};

/**
 * Settings to try: what to set, and what to watch for. `perMinute` is a step of the rate slider;
 * `cut` cuts the connections once the settings hold.
 */
export const EXPERIMENTS = [
  {
    title: "One a minute",
    settings: { perMinute: 1, cursor: true },
    watch: "Short polling asks twenty times for each message. Long polling asks three times, the streams once and for all.",
  },
  {
    title: "Five a second",
    settings: { perMinute: 300, cursor: true },
    watch: "Short polling now fetches fifteen at once: among the cheapest, and by far the latest. Long polling pays for a request with nearly every message.",
  },
  {
    title: "Fifty a second",
    settings: { perMinute: 3000, cursor: true },
    watch: "The framing is all that counts now. Compare the bars under “bytes per message”.",
  },
  {
    title: "Cut with cursor",
    settings: { perMinute: 300, cursor: true },
    cut: true,
    watch: "All come back with their cursor and fetch what they missed: late, but lost stays 0. The iframe is last, because nobody tells it.",
  },
  {
    title: "Cut without cursor",
    settings: { perMinute: 300, cursor: false },
    cut: true,
    watch: "All come back and start from now. What was published meanwhile is gone, and “lost” says how much.",
  },
];
