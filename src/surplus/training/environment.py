"""Where and with what a run was made: recorded, shown, and compared when it is resumed."""

import os
import platform
from typing import Any

import numpy
import torch

from surplus import __version__


def environment(device: torch.device) -> dict[str, Any]:
    """Return the machine and the versions that may change a result's last digits."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "num_cores": os.cpu_count(),
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "surplus": __version__,
        "device": _device(device),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return device.type


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - not a regular file
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
