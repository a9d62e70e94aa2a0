"""paho-mqtt without the 2 MB that it loads and a box never uses.

paho imports urllib.request for proxies through PySocks, which it looks for and no box has; without PySocks it never
calls it. But urllib.request brings the HTTP client and the e-mail parser into memory, for good. While paho is imported
an empty module stands in; afterwards whoever imports urllib.request gets the real one.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

_NAME = "urllib.request"
_stand_in = _NAME not in sys.modules and find_spec("socks") is None
if _stand_in:
    sys.modules[_NAME] = ModuleType(_NAME)
try:
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
finally:
    if _stand_in:
        del sys.modules[_NAME]

__all__ = ["CallbackAPIVersion", "mqtt"]
