/** The client as a page has it whose bundler makes files: what is loaded later is a file of its own. */

import { Reddot } from "../../../js/src/index.js";
import { server, token } from "./shared.js";

const client = new Reddot({ server, token });
const got = [];
client.subscribe("lines/#", ({ data }) => got.push(data));
Object.assign(window, { client, got, states: [], errors: [], gaps: [] });
