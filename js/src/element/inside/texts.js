/** What only the inside says. A page that has its own words for it keeps them. */

import { languages } from "../parts.js";

languages.zh = {
  All: "全部",
  Unread: "未读",
  Archived: "已归档",
  "Mark all as read": "全部标为已读",
  "All marked as read": "已全部标为已读",
  Undo: "撤销",
  Preferences: "设置",
  Back: "返回",
  "Mark as read": "标为已读",
  "Mark as unread": "标为未读",
  Archive: "归档",
  "Move to inbox": "移回收件箱",
  "Load more": "加载更多",
  "You're all caught up": "没有更多了",
  "No notifications yet": "暂无通知",
  "Nothing unread": "没有未读通知",
  "Nothing archived": "没有已归档的通知",
  "Last updated {time}": "上次更新 {time}",
  "Signed out": "已退出登录",
  "That did not work": "操作失败",
  "Play a sound": "播放提示音",
  "Show on the desktop": "显示桌面通知",
  "Keyboard shortcuts": "键盘快捷键",
  "Next or previous": "下一条或上一条",
  Open: "打开",
  "Why this number?": "为什么是这个数字？",
  ...languages.zh,
};
