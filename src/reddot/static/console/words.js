/** What became of a delivery, in words for people. Pure. */

/** A state as it is said. */
export const STATES = {
  pending: "Waits",
  leased: "In hand",
  held: "Held",
  sent: "Sent",
  skipped: "Not sent",
  folded: "In a digest",
  cancelled: "Cancelled",
  dead: "Failed",
};

const REASONS = {
  due: "Nothing spoke against it.",
  seen: "They had seen it already.",
  dead: "It had expired, or was taken back or replaced.",
  rejected: "An administrator rejected its text.",
  denied: "The plan never sends to this person.",
  not_allowed: "The plan sends to some people only, and not to this one.",
  muted: "They have muted this.",
  no_address: "The courier has no address of theirs that works.",
  total_reached: "As many as the plan allows had gone out.",
  keyword: "Its text has a word that is reviewed.",
  paused: "Its campaign is paused.",
  digest: "It goes out together with others.",
  quiet_hours: "It is a quiet hour where they are.",
  capped: "They have had as many as the plan allows.",
  rate: "As many as the plan allows go out this second.",
  cancelled: "Somebody cancelled it.",
  approved: "An administrator approved its text.",
  retried: "Somebody sent it again.",
  released: "A node gave it back before it went out.",
  timeout: "The provider did not answer in time.",
  unreachable: "The provider could not be reached.",
  not_sent: "The provider did not take it.",
  no_ids: "The provider gave no identifier for it.",
  courier_failed: "The courier itself failed.",
  unknown_outcome: "Nobody knows whether the provider has it: sent again, it may come twice.",
  courier_removed: "There is no such courier in the settings any more.",
  address_invalid: "The courier does not accept this address any more.",
  vapid_refused: "The push service does not accept this server's key.",
};
const HTTP = /^http_(\d{3})$/;

/** @param {{state: string, reason: string}} delivery Returns a sentence. */
export function why({ state, reason }) {
  if (!reason) return state === "pending" ? "They are given time to look first." : "";
  if (state === "folded") return "It went out as part of a digest.";
  if (REASONS[reason]) return REASONS[reason];
  const status = HTTP.exec(reason)?.[1];
  return status ? `The provider answered ${status}.` : `${reason.replaceAll("_", " ")}.`;
}

/** When something happens next, or happened last: a time of the server and what it is. */
export function moment({ state, due, sent, changed }) {
  return state === "pending" ? ["due", due] : state === "sent" ? ["sent", sent ?? changed] : ["since", changed];
}
