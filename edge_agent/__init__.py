"""The agent on a box: reads plates and sensors on the spot, keeps events until the collector has stored them."""

__version__ = "0.1.0"
