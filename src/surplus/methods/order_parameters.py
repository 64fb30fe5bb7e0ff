"""Order parameters of a run: a student's overlaps with its teacher, beside the equations that they should follow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from torch import nn

from surplus.base import Cell, InvalidArgument, Table, label, register
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, spec_of
from surplus.nets import Committee
from surplus.passes.order_parameters import OrderParameters, Rates, integrated
from surplus.store import Run
from surplus.tasks import TeacherStudent
from surplus.training import Spec
from surplus.training.optimizers import SGD
from surplus.training.schedules import Constant


@register("order-parameters")
@dataclass(frozen=True, kw_only=True, slots=True)
class OrderParametersOfRun(Method):
    """Read the overlaps out of every snapshot of a student, and integrate the exact equations from the run's own start.

    `errors` has one row per time and source ("run" or "equations"): the generalisation error, which follows exactly
    from the overlaps. `overlaps` has one row per source and pair of units at the last snapshot, and for the equations
    at the time `until`: the normalised overlap of student and teacher unit, and the student unit's fan-out.

    Reference: goldt2019dynamics, the equations of the order parameters.
    The equations hold for infinitely many inputs and one pass over fresh examples, one at a time.
    """

    references = ("goldt2019dynamics",)

    until: float | None = None
    """To which time, steps / N, the equations go on beyond the run's end; None stops there."""
    tolerance: float = 1e-7
    """How exact each step of the integration is."""

    def steps(self, run: Run) -> list[int]:
        """Return all snapshots."""
        return sorted(run.snapshots())

    def compute(self, run: Run, context: Context) -> Results:
        """Read the run, and integrate.

        Raises:
            InvalidArgument: the run is no committee that learns online from a teacher by plain gradient descent.
        """
        spec = spec_of(run)
        task, how = _read(spec)
        steps = self.steps(run)
        times = [step / task.dimension for step in steps]
        states = [_state(model_of(run, step)[0], task) for step in steps]
        beyond = [] if self.until is None or self.until <= times[-1] else [self.until]
        expected = integrated(states[0], how, times + beyond, self.tolerance)
        errors: list[dict[str, Cell]] = [
            {
                "source": source,
                "time": time,
                "generalisation_error": each.generalisation_error,
            }
            for source, found in (("run", states), ("equations", expected))
            for time, each in zip(times + beyond, found, strict=False)
        ]
        overlaps: list[dict[str, Cell]] = [
            *_overlaps("run", times[-1], states[-1]),
            *_overlaps("equations", (times + beyond)[-1], expected[-1]),
        ]
        return Results(
            tables={"errors": Table.from_rows(errors), "overlaps": Table.from_rows(overlaps)}
        )


def _read(spec: Spec) -> tuple[TeacherStudent, Rates]:
    """Return the task and the rates of the equations."""
    training, optimizer, task = spec.training, spec.training.optimizer, spec.task
    if not (isinstance(task, TeacherStudent) and isinstance(spec.net, Committee)):
        raise InvalidArgument(
            f"The equations are those of `committee` on `teacher-student`; this is {label(spec.net)} on {label(task)}."
        )
    clock = training.clock(task.num_train)
    plain = (
        isinstance(optimizer, SGD)
        and not optimizer.momentum
        and not optimizer.weight_decay
        and isinstance(training.schedule, Constant)
    )
    if not plain or training.batch_size != 1 or clock.num_steps > clock.steps_per_epoch:
        raise InvalidArgument(
            "The equations are those of plain gradient descent at a constant rate, one fresh example at a time; this is"
            f" {label(optimizer)} with batches of {training.batch_size}, {clock.num_steps} steps on {task.num_train}"
            " examples."
        )
    rate = cast(SGD, optimizer).learning_rate * task.dimension
    return task, Rates(rate, rate if spec.net.learnt else 0.0, task.noise)


def _state(model: nn.Module, task: TeacherStudent) -> OrderParameters:
    W = model.get_parameter("hidden.weight").detach().double()
    v = model.get_parameter("readout.weight").detach().double()[0]
    B = task.directions.double()
    return OrderParameters(
        Q=(W @ W.T).numpy(),
        R=(W @ B.T).numpy(),
        T=(B @ B.T).numpy(),
        v=v.numpy(),
        A=v.new_ones(len(B)).numpy(),
    )


def _overlaps(source: str, time: float, state: OrderParameters) -> Iterator[dict[str, Cell]]:
    for student, fan_out in enumerate(state.v):
        for teacher in range(len(state.A)):
            size = (state.Q[student, student] * state.T[teacher, teacher]) ** 0.5
            yield {
                "source": source,
                "time": time,
                "student": student,
                "teacher": teacher,
                "overlap": float(state.R[student, teacher] / size),
                "fan_out": float(fan_out),
            }
