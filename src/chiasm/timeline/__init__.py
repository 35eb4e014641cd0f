"""A timeline is a line of text: phases in order, each a span of epochs under one set of deficits.

"clean 20 | silence(right) 40 | clean 60"
"blur(right, 4) + noise(left, 0.5) 40 | clean 60"
"""

from chiasm.timeline.notation import TimelineError
from chiasm.timeline.phases import Phase, Timeline

__all__ = ["Phase", "Timeline", "TimelineError"]
