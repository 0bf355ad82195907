"""Settings of the fuzz tests, and a strategy for damaged files."""

import os

from hypothesis import HealthCheck, settings, strategies as st

# Inputs differ from run to run. A Hypothesis profile would change other tests, too.
FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    derandomize=False,
    print_blob=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def damaged(draw, originals):
    """Draw one of the originals and change, remove or insert some bytes."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["change", "cut", "end", "insert", "repeat"]))
        if kind == "change":
            piece = draw(st.binary(min_size=1, max_size=4))
            content[at : at + len(piece)] = piece
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 64))]
        elif kind == "end":
            del content[at:]
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=16))
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 256))]
    return bytes(content)
