/** What `build.js` defines in the files that are served. */
declare const REDDOT_INBOX: string;
