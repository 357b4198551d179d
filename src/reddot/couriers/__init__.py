"""Ways to reach somebody who is not there, one file each; `ports.Courier` is their contract."""
