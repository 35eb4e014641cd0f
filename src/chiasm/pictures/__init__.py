"""The drawing primitives that a measurement and a report share: style, words, ridges, planes, triangles, maps."""
