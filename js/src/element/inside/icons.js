/** Pictures of what can be done, as the path that a pen takes. */

export const ALL = "m2 13 4 4L16 7m-5 9 1 1L22 7";
export const SETTINGS = "M4 7h9m5 0h2M4 17h2m5 0h9M13 7a2 2 0 1 0 5 0 2 2 0 1 0-5 0M6 17a2 2 0 1 0 5 0 2 2 0 1 0-5 0";
export const ARCHIVE = "M4 5h16v4H4zm1 4v10h14V9m-9 4h4";
export const BACK = "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3";
export const LOCK = "M6 11h12v9H6zm2 0V8a4 4 0 0 1 8 0v3";
export const SNOOZE = "M12 4a8 8 0 1 0 0 16 8 8 0 1 0 0-16m0 4v4l3 2";
export const READ = "m5 12 5 5 9-10";
export const UNREAD = "M8 12a4 4 0 1 0 8 0 4 4 0 1 0-8 0";
