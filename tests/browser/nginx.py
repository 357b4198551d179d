"""nginx as proxies in the wild are, and as docs/howto/proxies.md says that it should be."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

START_S: Final = 10.0
CONFIGURATION: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {upstream};
      proxy_set_header Host $http_host;
      {directives}
    }}
  }}
}}
"""
# It knows no WebSocket, and holds back what it is not told to pass on.
WILD: Final = """
      proxy_buffering on;
      proxy_buffers 8 64k;
      proxy_buffer_size 64k;
      proxy_ignore_headers X-Accel-Buffering;
"""
GOOD: Final = """
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection;
      proxy_buffering off;
      proxy_read_timeout 75s;
"""
# Streams come through, upgrades are refused by the proxy itself.
NO_UPGRADES: Final = """
      if ($http_upgrade) { return 403; }
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Via "1.1 gateway.internal";
      proxy_set_header X-Forwarded-For 10.1.2.3;
      proxy_buffering off;
"""


class Nginx:
    """A proxy before `upstream`, on a free port.

    Skips the test where there is no nginx.
    """

    def __init__(self, folder: Path, upstream: str, directives: str = WILD) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            pytest.skip("no nginx")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        path = folder / "nginx.conf"
        path.write_text(
            CONFIGURATION.format(folder=folder, port=port, upstream=upstream, directives=directives)
        )
        self._process = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")]
        )
        self._wait(port)

    def _wait(self, port: int) -> None:
        until = time.monotonic() + START_S
        while True:
            assert self._process.poll() is None, "nginx has ended"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.02)
            else:
                return

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(START_S)
