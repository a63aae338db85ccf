"""The explorer: a local server and a page. Importing this package costs nothing."""

from __future__ import annotations
