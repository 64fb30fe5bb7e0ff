"""`OnnxSession`: an exported model in onnxruntime."""

from typing import Any, final

import torch
from torch import Tensor

from surplus.interop.agreement import NotExported, tensors_in
from surplus.interop.batches import Inputs


@final
class OnnxSession:
    """Runs a model of ONNX on the CPU.

    Args:
        data: The contents of the file.
        advice: What to say besides where onnxruntime refuses it.

    Raises:
        NotExported: onnxruntime does not open it.
    """

    def __init__(self, data: bytes, advice: str = "") -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors alone, and these are raised
        options.intra_op_num_threads = torch.get_num_threads()
        self._advice = advice
        try:
            self._session: Any = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as failed:
            raise self._refused(failed) from failed

    def run(self, inputs: Inputs) -> list[Tensor]:
        """Return the outputs; the tensors among the inputs are in the order in which the model was exported with them.

        Raises:
            NotExported: onnxruntime does not run it.
        """
        tensors = tensors_in(inputs)
        names = [each.name for each in self._session.get_inputs()]
        try:
            values = {name: each.numpy() for name, each in zip(names, tensors, strict=True)}
            return [torch.from_numpy(each) for each in self._session.run(None, values)]
        except Exception as failed:
            raise self._refused(failed) from failed

    def _refused(self, failed: Exception) -> NotExported:
        return NotExported(f"onnxruntime does not run what was exported: {failed}.{self._advice}")
