/** What `build.js` defines in the files that are served. */
declare const REDDOT_INBOX: string;
declare const REDDOT_PUSH: string;
