/** The elements as a page has them whose bundler makes files: what they show is a file of its own. */

import "../../../js/src/element/define.js";
