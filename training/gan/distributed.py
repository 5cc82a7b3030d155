"""The processes of one training: how many there are, and what they tell each other.

`python -m torch.distributed.run --nproc-per-node N -m training …` starts N of them. Each plays its part of every batch
(`models.networks.batch_part`) and holds the whole state; they average what they saw, so the state stays the same in all
of them to the last bit, and the first alone writes. See docs/decisions/0010-several-processes.md.
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
"""A process waits so long for the others, who may be measuring G's samples or drawing curves; then it ends."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a training; without arguments: one alone, who has nobody to talk to.

    Attributes:
        rank: its number, from 0.
        world: how many there are.

    Raises (each method):
        ProcessesError: another process has ended, or has not answered for `TIMEOUT_S`.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run folder and talks to the person."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The mean of each tensor over all processes: float32, of the same shapes in each of them.

        One bucket, one sum. Where the backend adds in a fixed order, as Gloo's ring does, the same numbers always give
        the same bits, and every process gets the same ones.
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
        """The first process's number, in all of them: its clock, say."""
        if self.world == 1:
            return number
        told = torch.tensor(number, dtype=torch.float64)
        with self._listening():
            distributed.broadcast(told, src=0)
        return float(told)

    def figures_of_first(self, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What the first process measures, in all of them; the others wait for it.

        Raises:
            NotFiniteError: the first raised it; all do.
        """
        if self.world == 1:
            return measure()
        text = ""
        if self.first:
            try:
                text = json.dumps({"figures": measure()})
            except NotFiniteError as error:
                text = json.dumps({"error": str(error)})
        answer = json.loads(self._text_of_first(text))
        if "error" in answer:
            raise NotFiniteError(answer["error"])
        figures: dict[str, float] = answer["figures"]
        return figures

    def wait_for_first(self) -> None:
        """Go on when the first process has come here: what it wrote before can be read."""
        self.number_of_first(0.0)

    def check_same(self, what: str, held: Mapping[str, torch.Tensor] | str) -> None:
        """See to it that all processes hold the same bits.

        Args:
            what: what they are, for the message: "the same weights".
            held: by this process.

        Raises:
            ProcessesError: some differ from the first's; every process names them.
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
                f"the {self.world} processes do not have {what}: unlike process 0's are those of {', '.join(others)}. "
                "Start all of them by the same command, from the same commit, on the same data, with the same version "
                "of PyTorch, and on machines of one kind"
            )

    def _text_of_first(self, text: str) -> str:
        payload = text.encode()
        told = torch.tensor(len(payload), dtype=torch.int64)
        with self._listening():
            distributed.broadcast(told, src=0)
            data = torch.frombuffer(bytearray(payload.ljust(int(told))), dtype=torch.uint8)  # the others' is room
            distributed.broadcast(data, src=0)
        return data.numpy().tobytes().decode()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # Gloo has no class of its own for a connection that ended
            raise ProcessesError(
                f"this process lost the others: one has ended, or has not answered for {TIMEOUT_S / 60:.0f} minutes; "
                "its message is here or on its machine. The last saved state is as it was: `resume` goes on from it "
                f"({str(error).partition('. ')[0]})"
            ) from error


ALONE = Processes()


def number_of_processes() -> int:
    """How many processes `torch.distributed.run` has started with this one; 1 where it has not been used."""
    return int(os.environ["WORLD_SIZE"]) if _is_launched() else 1


def own_number() -> int:
    """The number of this process among them, from 0."""
    return int(os.environ["RANK"]) if _is_launched() else 0


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """This process among those that `torch.distributed.run` has started with it: Gloo on "cpu", NCCL on "cuda".

    On "cuda" each process takes the device of its number on its machine.

    Raises:
        ProcessesError: there are fewer devices than processes here, or the others do not come within `TIMEOUT_S`.
    """
    world = number_of_processes()
    if world == 1:
        yield ALONE
        return
    if device == "cuda":
        _take_own_device(int(os.environ["LOCAL_RANK"]))
    # What is told of clocks and figures stays on the CPU, whatever the device.
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=timedelta(seconds=TIMEOUT_S))
    except (RuntimeError, ValueError) as error:
        raise ProcessesError(f"this process does not find the others, {world} in all: {error}") from error
    yield Processes(distributed.get_rank(), world)
    # After an error it is left to the process's end: to take leave, all would have to come here.
    distributed.destroy_process_group()


def _is_launched() -> bool:
    return distributed.is_available() and distributed.is_torchelastic_launched()


def _take_own_device(number: int) -> None:
    if number >= torch.cuda.device_count():
        raise ProcessesError(
            f"process {number} of this machine has no CUDA device of its own, there are {torch.cuda.device_count()}: "
            f"`--nproc-per-node {torch.cuda.device_count()}`, or `--device cpu`"
        )
    torch.cuda.set_device(number)


def _digest(held: Mapping[str, torch.Tensor] | str) -> bytes:
    if isinstance(held, str):
        return hashlib.sha256(held.encode()).digest()
    digest = hashlib.sha256()
    for name, tensor in held.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()
