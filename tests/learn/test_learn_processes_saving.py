"""Several processes go on exactly, stop together, and say in all of them what went wrong in one."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
import several_saving
import torch
from several import in_processes

from jumpml.learn.processes._processes import Processes
from jumpml.learn.saving import _stopper
from jumpml.learn.saving._agreement import Agreement
from jumpml.learn.saving._stopper import Stopper

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes met, by rank and by what they were asked; one start for all."""
    folder = tmp_path_factory.mktemp("several")
    return in_processes(2, several_saving.all_of, folder, folder)


def alike(found: list[dict[str, Any]], case: str) -> Any:
    """What all of them met."""
    one, *others = [of_one[case] for of_one in found]
    assert all(other == one for other in others)
    return one


@pytest.mark.parametrize(("case", "steps"), [("exact", 20), ("exact_with_all", 15)])
def test_a_run_that_was_stopped_twice_ends_with_the_same_bits(
    found: list[dict[str, Any]], case: str, steps: int
) -> None:
    for of_one in found:
        exact = of_one[case]
        assert exact["steps"] == steps
        assert exact["stopped"] == []
        assert any(name.startswith("/model/") for name in exact["without"])  # the negative control


def test_another_number_of_processes_is_another_run_that_can_be_gone_on_with(found: list[dict[str, Any]]) -> None:
    anew = "; dropout and augmentation are drawn anew from here"
    first, second = (of_one["of_other_counts"] for of_one in found)
    refused = (
        "CheckpointError: the checkpoint of step 3 belongs to another run:\n  processes: {}\n"
        "Undo the changes, or start a new run; or go on with them: learner.resume(allow_changes=True)."
    )
    assert first["of two"] == refused.format(f"2 then, 1 now{anew}")
    assert first["of one"] == second["of one"] == refused.format(f"1 then, 2 now{anew}")
    note = "resumed at step 3 with changes: processes: {}" + anew
    assert first["notes"] == [(3, (note.format("2 then, 1 now"),), 20), (3, (note.format("1 then, 2 now"),), 20)]
    assert first["their own"]


def test_processes_that_drift_apart_are_told_at_the_next_checkpoint_or_reading(found: list[dict[str, Any]]) -> None:
    told = (
        "LearnerError: distribute: after step {} the processes no longer have the same state: process 1 has another "
        "'model.node_trunk.0.weight' than process 0. After step {} they were the same. A hook that draws random "
        "numbers, or acts by the rows that it sees, must do so alike in all: see Learner.processes. Nothing was saved."
    )
    assert alike(found, "drifting") == [told.format(9, 6), told.format(10, 0)]


class Told(Processes):
    """Two processes that tell the same; and what that is."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.heard: list[Any] = []

    def gather(self, value: Any) -> list[Any]:
        self.heard.append(value)
        return [value, value]


def checksum(value: Any) -> Any:
    Agreement(told := Told()).check(1, {"hooks": [{"value": value}], "model": {"weight": torch.ones(2)}})
    return told.heard


VALUES = [
    *(torch.tensor(value) for value in (0.0, -0.0, [0.0], [-0.0], [True], [False], [1], [2], [1j], [2j], [[0.0]])),
    *(torch.tensor([value], dtype=torch.bfloat16) for value in (1.0, 1.0078125)),
    *(torch.zeros(shape) for shape in ((0,), (2, 3), (3, 2))),
    *(0.1, 0.2, 1, "1", None, [], [1], {}, {"more": 1}),
]


def test_a_checksum_tells_every_value_from_every_other() -> None:
    told = [checksum(value) for value in VALUES]
    assert all(told.count(one) == 1 for one in told)
    assert checksum(torch.rand(3).fill_(2)) == checksum(torch.full((3,), 2.0))
    assert checksum({"one": 1, "other": 2}) == checksum({"other": 2, "one": 1})
    assert checksum(torch.full((3,), torch.nan)) == checksum(torch.full((3,), torch.nan))


def test_processes_that_are_told_otherwise_do_not_begin(found: list[dict[str, Any]]) -> None:
    told = alike(found, "unlike")
    head = "LearnerError: distribute: the processes are not about to learn the same:\n"
    tail = "\nGive all of them the same files and seed, and let no code depend on the process."
    assert told["seed"] == f"{head}  seed: 0 in process 0, 1 in process 1{tail}"
    assert told["rates"] == f"{head}  learning rate of group 0: 0.1 in process 0, 1.1 in process 1{tail}"
    assert told["model"] == (
        f"{head}  weight node_trunk.4.weight: none in process 0, float32 [8, 8] in process 1\n"
        f"  weight node_trunk.4.bias: none in process 0, float32 [8] in process 1{tail}"
    )
    assert told["batches"].startswith(f"{head}  batch size: 6 in process 0, 9 in process 1\n  how rows are drawn: ")
    assert told["checkpoints"].startswith(f"{head}  checkpoint.epochs: 1 in process 0, none in process 1\n")
    lines = told["data"].splitlines()[1:-1]
    assert [line.partition(": ")[0].strip() for line in lines] == [
        f"{split} field x" for split in ("train", "val", "test")
    ]


def test_a_signal_to_whichever_stops_all_after_the_same_step(found: list[dict[str, Any]]) -> None:
    told = alike(found, "stopped")
    assert told == {
        "SIGTERM to one": ("Terminated: stopped by SIGTERM after step 3. Its checkpoint is in FOLDER.", 3, True),
        "Ctrl-C to both": ("KeyboardInterrupt: stopped by Ctrl-C after step 3. Its checkpoint is in FOLDER.", 3, True),
        "in the last step": (
            "KeyboardInterrupt: stopped by Ctrl-C after step 20. Its checkpoint is in FOLDER.",
            20,
            True,
        ),
    }


class WithSlow(Processes):
    """This process and another one, whose steps take so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(0, 2)
        self.seconds, self.signal, self.asked = seconds, 0, 0

    def sum(self, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        self.asked += 1
        (told,) = values
        return [told + torch.tensor([[0.0, 0.0], [self.signal, self.seconds]])]


@pytest.mark.parametrize(
    ("seconds", "steps"), [(3.0, [1, 2, 3, 4, 5]), (0.25, [1, 3, 7, 11, 15]), (0.0, [1, 3, 7, 15, 31])]
)
def test_processes_ask_each_other_about_once_a_second_by_the_slowest(
    monkeypatch: pytest.MonkeyPatch, seconds: float, steps: list[int]
) -> None:
    monkeypatch.setattr(_stopper, "time", Mock(monotonic=lambda: 0.0))
    with Stopper(others := WithSlow(seconds)) as stopper:
        asked = []
        for step in range(1, steps[-1] + 1):
            before = others.asked
            assert not stopper.after_step()
            asked += [step] * (others.asked - before)
        assert asked == steps
        others.signal = signal.SIGTERM
        assert stopper.agreed()
        assert stopper.asked == signal.SIGTERM


def test_a_loss_that_is_not_finite_in_one_is_explained_in_all(found: list[dict[str, Any]]) -> None:
    told = alike(found, "non_finite")
    assert told["said"].startswith("NonFiniteLossError: the loss of objective 'kind' became non-finite at step 1; ")
    step = "FOLDER/replay/step-00000001.safetensors"
    assert told["said"].endswith(f"`jumpml replay {step}`, or learner.relive('{step}'), shows it again.")
    assert told["seen"] == (1, "the field 'x' of the batch")  # by one process alone


def test_a_buffer_that_is_not_finite_in_one_stops_all(found: list[dict[str, Any]]) -> None:
    said, kept = alike(found, "far_off")
    assert said.startswith("NonFiniteLossError: the weights became non-finite by the update of step 10. ")
    assert kept is None


def test_all_go_by_the_figures_that_the_first_one_measured(found: list[dict[str, Any]]) -> None:
    assert alike(found, "measured") == [1.0]


def test_what_the_first_one_cannot_write_or_read_all_say(found: list[dict[str, Any]]) -> None:
    assert alike(found, "disks") == {
        "full": "CheckpointError: the checkpoint of step 0 could not be written to FOLDER/full: [Errno 28] No space "
        "left on device. Those before it are untouched.",
        "best": None,
        "damaged": "CheckpointError: no checkpoint in FOLDER/full is whole:",
    }


def test_what_a_copy_finds_out_all_find_alike(found: list[dict[str, Any]]) -> None:
    told = alike(found, "trials")
    assert told["tried"] == {"kind": True, "size": True, "small": True}  # what one process finds on the whole batch
    assert len(told["rates"][1]) == 10
    assert told["overfit"].startswith("one batch of 6 rows, 10 steps")
    assert told["profiled"] == 3
    assert len(told["dry run"]) == 1
    assert told["sizes"] == (
        "LearnerError: batch_sizes() measures what one process holds, and 2 learn here. Ask it where one does "
        "(distribute: none): what fits there is each one's share of a batch."
    )
    assert told["untouched"] == []


def test_an_error_in_one_ends_the_others_with_a_word_of_it(found: list[dict[str, Any]]) -> None:
    first, second = (of_one["failing_alone"] for of_one in found)
    assert second == "DataError: what only this process met"
    text = "LearnerError: distribute: another process ended, or did not come as far as this one: see its own message ("
    assert first.startswith(text)
    assert first.endswith(").")
    assert "gloo" not in first
