"""Several processes that learn one model together, each from its share of every batch."""

from __future__ import annotations

import os
import pickle
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from jumpml.core import LAUNCHER, Launched, LearnerError, did_you_mean, leave_to_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor

Value = TypeVar("Value")
Failure = TypeVar("Failure", bound=BaseException)

BUCKET = 1 << 23  # elements that are added up in one message


class Processes:
    """The processes that learn together, as one of them sees them.

    All have the same weights before and after any step, and decide by the same figures; what each has for itself is its
    share of a batch's rows, and random generators for dropout and augmentation. Whatever is asked for here all of them
    ask for, in the same order.

    Attributes:
        rank: Which of them this one is, from 0.
        count: How many there are.
    """

    _made: ClassVar[Any] = None  # the group, where it was made here
    _times: ClassVar[int] = 0  # how often one was

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @classmethod
    def meant_by(cls, distribute: str) -> Processes:
        """Those that learn together as the key says.

        Args:
            distribute: ``none``, this one alone; or ``ddp``, as `joined`.

        Raises:
            LearnerError: It is something else; or they cannot be joined.
        """
        if distribute == "none":
            return ALONE
        if distribute != "ddp":
            near = did_you_mean(distribute, ("none", "ddp"))
            raise LearnerError(f"distribute: expected none or ddp, got {distribute!r}. {near}")
        return cls.joined()

    @classmethod
    def joined(cls) -> Processes:
        """Those that `torchrun`, or whatever set the same variables, has started; this one alone where it is so.

        Raises:
            LearnerError: They cannot be joined.
        """
        if not distributed.is_available():
            return ALONE
        if not distributed.is_initialized():
            if started() < 2:
                return ALONE
            try:
                cls._join()
            except (ValueError, RuntimeError) as error:
                text = f"distribute: the processes could not be joined: {str(error).splitlines()[0]}"
                raise LearnerError(f"{text}. Start them as `{LAUNCHER} 2` does.") from None
        count = distributed.get_world_size()
        return cls(distributed.get_rank(), count) if count > 1 else ALONE

    @classmethod
    def _join(cls) -> None:
        """Make the group, at a place in the launcher's store where no group of before has left its addresses.

        `torchrun --max-restarts` starts processes anew beside the store of those that died.
        """
        store, rank, count = next(rendezvous("env://"))
        cls._times += 1
        store = distributed.PrefixStore(f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{cls._times}", store)
        # plain values go by the CPU in any case
        on_gpus = torch.cuda.is_available() and distributed.is_nccl_available()
        backend = "cpu:gloo,cuda:nccl" if on_gpus else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
        cls._made = distributed.group.WORLD

    def leave(self) -> None:
        """Have done with the others, where they were joined here; each goes its own way then."""
        if not self.alone and distributed.is_initialized() and Processes._made is distributed.group.WORLD:
            distributed.destroy_process_group()

    @property
    def alone(self) -> bool:
        """Whether there is but one."""
        return self.count == 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and tells."""
        return self.rank == 0

    def sum(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Each tensor's sum over all processes, which have tensors of the same shapes and types.

        Args:
            values: On one device; those of one type go in one message.
        """
        if self.alone:
            return [*values]
        kinds = [value.dtype for value in values]
        if len({*kinds}) < 2:
            return self._sum(values)
        sums = [*values]
        for kind in dict.fromkeys(kinds):
            places = [place for place, own in enumerate(kinds) if own == kind]
            for place, total in zip(places, self._sum([values[place] for place in places]), strict=True):
                sums[place] = total
        return sums

    def _sum(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Of values of one type."""
        if not values:
            return []
        flat = torch.cat([value.detach().flatten() for value in values])
        with _others_there():
            for part in flat.split(BUCKET):
                distributed.all_reduce(part)
        parts = flat.split([value.numel() for value in values])
        return [part.view(value.shape) for part, value in zip(parts, values, strict=True)]

    def gather(self, value: Value) -> list[Value]:
        """What all processes have, by rank: plain values, and tensors on the CPU."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.count
        with _others_there():
            distributed.all_gather_object(found, value)
        return found

    def from_first(self, call: Callable[[], Value]) -> Value:
        """What a call gives, or raises, in the first process; the others do not call.

        Args:
            call: Gives plain values, and tensors on the CPU.
        """
        if self.alone:
            return call()
        told: list[Any] = [None, None]
        if self.first:
            try:
                told[0] = call()
            except Exception as error:  # raised below, in all of them
                told[1] = _sendable(error)
        with _others_there():
            distributed.broadcast_object_list(told)
        value, error = told
        if error is not None:
            raise self.agreed(error)
        return value

    def agreed(self, error: Failure) -> Failure:
        """An error that all are about to raise, so that the first alone need tell it."""
        if not self.first:
            leave_to_first(error)
        return error

    def give(self, values: Iterable[Tensor]) -> None:
        """Let the others have the first one's tensors, in the place of their own."""
        if not self.alone:
            for value in values:
                held = value.detach()
                told = held.flatten().view(torch.uint8)  # as bytes, since not every backend sends every type
                with _others_there():
                    distributed.broadcast(told, src=0)
                held.copy_(told.view(held.dtype).view(held.shape))


ALONE = Processes()


@contextmanager
def _others_there() -> Iterator[None]:
    """Inside all processes do the same; one that has ended closes what the others wait at.

    Raises:
        LearnerError: Another process has ended, or does something else.
    """
    try:
        yield
    except RuntimeError as error:
        why = re.sub(r"^\[[^\]]*\] *", "", str(error).splitlines()[0]).partition(". ")[0]
        raise LearnerError(
            f"distribute: another process ended, or did not come as far as this one: see its own message ({why})."
        ) from None


def _sendable(error: Exception) -> Exception:
    """An error that another process can raise: itself, or its text where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an error of a library holds
        return LearnerError(f"{type(error).__name__}: {error}")
    return error


def started() -> int:
    """How many processes the program has joined, or a launcher says that it has started."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return Launched.here().count
