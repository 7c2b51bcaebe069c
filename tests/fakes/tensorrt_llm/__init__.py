"""A strict stand-in for TensorRT-LLM 1.2.1: a wrong call fails here as it would on a Spark.

Put `tests/fakes` and the root of the checkout on a child's PYTHONPATH and it is `tensorrt_llm`
there. What the real library takes silently although it is wrong (pixels from 0 to 255 as floats,
an odd number of frames, a task cancelled without an abort, ...) is broken contract here: it raises
ContractBroken and is written to the report, which a test reads. Which faults come is said by
`[[marks]]` in a prompt and by a control file; see `record`.
"""

from tests.fakes.tensorrt_llm.llm import LLM
from tests.fakes.tensorrt_llm.parameters import SamplingParams
from tests.fakes.tensorrt_llm.record import ContractBroken, control

__version__ = control().version

__all__ = ["LLM", "ContractBroken", "SamplingParams", "__version__"]
