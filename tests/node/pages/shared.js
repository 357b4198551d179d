/** What the pages give their bells. */

export const { server } = document.getElementById("app").dataset;
export const token = async () => (await (await fetch("/token")).json()).token;
export const words = { Notifications: "News" };
