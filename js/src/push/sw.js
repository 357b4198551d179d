/** The file that is served as `/reddot-sw.js`; a service worker of yours may `importScripts` it. */

import { serve } from "./worker.js";

serve(self);
