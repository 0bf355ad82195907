"""A figure that notebooks show although pyplot does not manage it."""

import base64
import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that notebooks show when it is the last expression of a cell.

    pyplot shows only the figures that it manages, keeps them in memory until they are
    closed, and shows those that a function returns a second time.
    """

    def _repr_html_(self) -> str:
        stream = io.BytesIO()
        self.savefig(stream, format="png")
        data = base64.b64encode(stream.getvalue()).decode()
        source = f"data:image/png;base64,{data}"
        return f'<img style="max-width: 100%" alt="Figure" src="{source}">'
