"""A figure that is not bound to a window, and all the same is seen in a notebook."""

import base64
import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that shows itself where it is the last line of a cell.

    matplotlib does so only for those that pyplot knows, and keeps in memory until they
    are closed.
    """

    def _repr_html_(self) -> str:
        stream = io.BytesIO()
        self.savefig(stream, format="png")
        data = base64.b64encode(stream.getvalue()).decode()
        return (
            f'<img style="max-width: 100%" alt="Figure" '
            f'src="data:image/png;base64,{data}">'
        )
