/**
 * The sections of the console, in the order of its menu. A section is a file that exports
 * `{ id, title, open(root, context) }`: `open` puts its elements into `root`. `context` has
 *
 * - `api` to ask the server, `live` with its figures, `query` from the address,
 * - `every(ms, action)` and `listen(listener)`, which end when the section is left,
 * - `say(text)` to tell how something went, `admin`: false for a server's key.
 */

import { badge } from "./sections/badge.js";
import { campaigns } from "./sections/campaigns.js";
import { credentials } from "./sections/credentials.js";
import { deadLetters } from "./sections/dead_letters.js";
import { errors } from "./sections/errors.js";
import { journey } from "./sections/journey.js";
import { notifications } from "./sections/notifications.js";
import { overview } from "./sections/overview.js";
import { review } from "./sections/review.js";
import { send } from "./sections/send.js";
import { sessions } from "./sections/sessions.js";
import { settings } from "./sections/settings.js";
import { topics } from "./sections/topics.js";

export const SECTIONS = [
  overview, sessions, topics, send, notifications, campaigns, review, deadLetters, journey, badge,
  credentials, errors, settings,
];
