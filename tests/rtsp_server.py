"""A camera on the network, played by GStreamer's RTSP server; run by the system's Python, which alone has its bindings.

    /usr/bin/python3 rtsp_server.py PORT CLIP.h264 [USER PASSWORD]

Serves the clip for ever at rtsp://127.0.0.1:PORT/gate, at its own rate.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402


def main(port: str, clip: str, user: str = "", password: str = "") -> None:
    """Serve until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(
        f"( multifilesrc location={clip} loop=true ! h264parse ! clocksync ! rtph264pay name=pay0 pt=96 )"
    )
    if user:
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.new_from_string("viewer,media.factory.access=true,media.factory.construct=true")
        )
    server.get_mount_points().add_factory("/gate", factory)
    server.attach(None)
    GLib.MainLoop().run()


main(*sys.argv[1:])
