"""Networks and operations on Dask arrays: lazy, chunk by chunk, without seams.

Each chunk of a result is computed from the inputs that it depends on, see `numbaconv.shapes.input_region`, with zeros
where the image ends and only there. Dask runs the tasks, in threads, in processes or on other machines. A task takes
one core unless ``threads`` says otherwise, since Dask runs as many at a time as it has cores.

It needs Dask: ``python -m pip install "numbaconv[dask]"``. Without it the module can be imported and nothing called.
"""

from ..objects.public import publish
from .operations import average_pool, conv, conv_transpose, depthwise_conv, max_pool, upsample
from .predicting import predict

__all__ = ["average_pool", "conv", "conv_transpose", "depthwise_conv", "max_pool", "predict", "upsample"]
publish(__name__)
