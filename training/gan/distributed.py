"""Training by several processes: their number, and the tensors that they exchange.

`python -m torch.distributed.run --nproc-per-node N -m training …` starts N processes. Each works on its part of every
batch (`models.networks.batch_part`) and holds the whole state. They average figures and gradients, so that the state
is the same in all of them to the last bit. Only the first process writes files. See
docs/decisions/0010-several-processes.md.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from training.errors import NotFiniteError, ProcessesError

TIMEOUT_S = 1800
"""A process ends after waiting this long for the others; they may be measuring G's samples or drawing curves."""


@dataclass(frozen=True)
class Processes:
    """The place of this process among those that train together; `Processes()` is a process that trains alone.

    Attributes:
        rank: the number of this process, from 0.
        world: the number of processes.

    Raises (each method):
        ProcessesError: another process has ended, or has not answered for `TIMEOUT_S`.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run folder and prints messages."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the mean of each tensor over all processes. They are float32, of the same shapes everywhere.

        All tensors are sent as one. A backend that adds in a fixed order, such as Gloo's ring, always gives the same
        bits for the same numbers, and the same bits to every process.
        """
        if self.world == 1:
            return list(tensors)
        bucket = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self._listening():
            distributed.all_reduce(bucket)
        bucket /= self.world
        means = torch.split(bucket, [tensor.numel() for tensor in tensors])
        return [mean.view(tensor.shape) for mean, tensor in zip(means, tensors, strict=True)]

    def number_of_first(self, number: float) -> float:
        """Return, in every process, the `number` that the first process passes; for example, the time of its clock."""
        if self.world == 1:
            return number
        told = torch.tensor(number, dtype=torch.float64)
        with self._listening():
            distributed.broadcast(told, src=0)
        return float(told)

    def greatest(self, *numbers: float) -> list[float]:
        """Return, in every process, the greatest of each number over all processes."""
        if self.world == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64)
        with self._listening():
            distributed.all_reduce(told, distributed.ReduceOp.MAX)
        greatest: list[float] = told.tolist()
        return greatest

    def figures_of_first(self, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Return, in every process, the figures that the first process measures; only the first calls `measure`.

        Raises:
            NotFiniteError: `measure` raised it in the first process; every process raises it.
            KeyboardInterrupt: the same.
        """
        if self.world == 1:
            return measure()
        text = ""
        if self.first:
            try:
                text = json.dumps({"figures": measure()})
            except NotFiniteError as error:
                text = json.dumps({"error": str(error)})
            except KeyboardInterrupt:
                self._text_of_first(json.dumps({"interrupted": True}))
                raise
        answer = json.loads(self._text_of_first(text))
        if "interrupted" in answer:
            raise KeyboardInterrupt
        if "error" in answer:
            raise NotFiniteError(answer["error"])
        figures: dict[str, float] = answer["figures"]
        return figures

    def wait_for_first(self) -> None:
        """Wait until the first process has made this call too; the files that it wrote before can then be read."""
        self.number_of_first(0.0)

    def check_same(self, what: str, held: Mapping[str, torch.Tensor] | str) -> None:
        """Check that all processes hold the same bits.

        Args:
            what: name of the thing that all should hold, for the error message; for example, "the same weights".
            held: the tensors by name, or the text, that this process holds.

        Raises:
            ProcessesError: some processes differ from the first; every process raises it, and the message names them.
        """
        if self.world == 1:
            return
        own = torch.frombuffer(bytearray(_digest(held)), dtype=torch.uint8)
        seen = [torch.empty_like(own) for _ in range(self.world)]
        with self._listening():
            distributed.all_gather(seen, own)
        others = [str(rank) for rank, digest in enumerate(seen) if not torch.equal(digest, seen[0])]
        if others:
            raise ProcessesError(
                f"the {self.world} processes do not have {what}: these differ from process 0: {', '.join(others)}. "
                "Start all of them with the same command, from the same commit, on the same data, with the same "
                "version of PyTorch, and on machines of the same kind"
            )

    def _text_of_first(self, text: str) -> str:
        payload = text.encode()
        told = torch.tensor(len(payload), dtype=torch.int64)
        with self._listening():
            distributed.broadcast(told, src=0)
            # In the other processes the payload is empty, so this only makes room for the first's.
            data = torch.frombuffer(bytearray(payload.ljust(int(told))), dtype=torch.uint8)
            distributed.broadcast(data, src=0)
        return data.numpy().tobytes().decode()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # Gloo has no error class of its own for a lost connection
            raise ProcessesError(
                f"this process lost the others: one has ended, or has not answered for {TIMEOUT_S / 60:.0f} minutes. "
                "Look for its message here or on its machine, then continue from the last saved state with `resume` "
                f"(cause: {str(error).partition('. ')[0]})"
            ) from error


ALONE = Processes()


def number_of_processes() -> int:
    """Return the number of processes that `torch.distributed.run` has started, this one included; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if _is_launched() else 1


def own_number() -> int:
    """Return the rank of this process, from 0; 0 without `torch.distributed.run`."""
    return int(os.environ["RANK"]) if _is_launched() else 0


def check_own_device(device: str) -> None:
    """Check that this process has a device of its own, before the processes connect.

    Raises:
        ProcessesError: there are several processes, and `device` is "mps", or it is "cuda" and this machine has fewer
            CUDA devices than processes.
    """
    if device == "cpu" or number_of_processes() == 1:
        return
    if device == "mps":
        raise ProcessesError(
            "the device 'mps' is one GPU, which several processes cannot train on together: start one process without "
            "torch.distributed.run, or use `--device cpu`"
        )
    number, devices = _local_number(), torch.cuda.device_count()
    if number >= devices:
        raise ProcessesError(_too_few_devices(number, devices=devices))


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Connect to the other processes that `torch.distributed.run` has started: by Gloo on "cpu", by NCCL on "cuda".

    On "cuda" each process uses the device with its local rank.

    Raises:
        ProcessesError: this machine has fewer devices than processes, or the others do not connect within `TIMEOUT_S`.
    """
    world = number_of_processes()
    if world == 1:
        yield ALONE
        return
    check_own_device(device)
    if device == "cuda":
        torch.cuda.set_device(_local_number())
    # Clocks and figures are sent from the CPU, whatever the device is.
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=timedelta(seconds=TIMEOUT_S))
    except (RuntimeError, ValueError) as error:
        raise ProcessesError(
            f"this process cannot connect to the others ({world} processes in all): {error}. Check that all of "
            "them have been started, and that their machines can reach each other"
        ) from error
    yield Processes(distributed.get_rank(), world)
    # Not in a `finally`: after an error the others do not get here, and this process would wait for them.
    distributed.destroy_process_group()


def _is_launched() -> bool:
    return distributed.is_available() and distributed.is_torchelastic_launched()


def _local_number() -> int:
    return int(os.environ["LOCAL_RANK"])


def _too_few_devices(number: int, *, devices: int) -> str:
    if not devices:
        return (
            "this machine has no CUDA device. Start a new run with `--device cpu`, or continue this one where there is "
            "a CUDA device for each process"
        )
    return (
        f"process {number} of this machine has no CUDA device of its own; there are {devices}. Use `--nproc-per-node "
        f"{devices}`, or start a new run with `--device cpu`"
    )


def _digest(held: Mapping[str, torch.Tensor] | str) -> bytes:
    if isinstance(held, str):
        return hashlib.sha256(held.encode()).digest()
    digest = hashlib.sha256()
    for name, tensor in held.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()
