"""What the machine has: memory of its device and of itself, and room where downloads go."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
from huggingface_hub.constants import HF_HUB_CACHE


@dataclass(frozen=True)
class Machine:
    """`cuda_bytes` is None where torch sees no GPU; `downloads` is the folder that hub checkpoints go to."""

    host_bytes: int
    cuda_bytes: int | None
    downloads: Path
    free_disk_bytes: int

    def device(self, wanted: str) -> str:
        """cpu or cuda; `wanted` may also be auto."""
        return ("cuda" if self.cuda_bytes else "cpu") if wanted == "auto" else wanted

    def device_bytes(self, device: str) -> int:
        return self.host_bytes if device == "cpu" else self.cuda_bytes or 0


def survey() -> Machine:
    """The machine that this runs on."""
    import torch  # takes seconds, which planning for other machines need not wait

    cuda = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None
    downloads = Path(HF_HUB_CACHE)
    return Machine(_host_bytes(), cuda, downloads, shutil.disk_usage(_nearest(downloads)).free)


def _host_bytes() -> int:
    """Memory of the machine, or of the container that this runs in."""
    from fastvlm.models.memory import CONTAINER

    physical, limit = psutil.virtual_memory().total, CONTAINER / "memory.max"
    own = limit.read_text().strip() if limit.is_file() else "max"
    return min(physical, int(own)) if own.isdigit() else physical


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
