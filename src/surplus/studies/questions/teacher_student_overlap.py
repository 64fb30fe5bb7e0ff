"""Teacher and student: what surplus units do when the right number of units is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy
import pandas
from matplotlib.figure import Figure

from surplus.base import register
from surplus.methods.alignment import Alignment
from surplus.methods.order_parameters import OrderParametersOfRun
from surplus.nets import MLP, Committee, Rescaled
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import COLOURS, legend, lines, panels
from surplus.studies.study import Study
from surplus.tasks import ReLUTeacher, TeacherStudent
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD

MATCHED = 18.2  # degrees: a cosine of 0.95
GOLDT = {"activation": "erf", "decay": None}


@register("teacher-student-overlap")
@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherStudentOverlap(Study):
    """Let students of several widths learn from teachers of known units, and see what becomes of the surplus.

    Two units of erf teach K of them online: N inputs, one fresh example a step at rate 0.2 / N, noise 0.1 on targets,
    with the fan-out fixed at 1 or learnt. Each run's overlaps are compared with the exact equations from its own start,
    which then go on to time 10,000 (in units of N steps), by when nearly all have left the plateau on which units are
    alike.

    Rectifiers teach rectifiers: ten units, of which the j-th has strength j^-decay, teach one to ten times as many on
    10,000 fixed examples (batches of 16, rate 0.01) from weights close to zero. A teacher unit is found if a student
    unit's weight vector ends within 18.2 degrees of its own (a cosine of 0.95).

    Reference: goldt2019dynamics, the figure of error against width; tian2019luck, the experiments on two layers.
    Correlations of activations are replaced by cosines of weight vectors; times, N and examples are smaller. Replicas
    share the teacher and differ in start and order.
    """

    references: ClassVar = ("goldt2019dynamics", "tian2019luck")
    question: ClassVar = (
        "Do surplus units harm, idle or share the work, and which of them win the teacher's units?"
    )
    smoke: ClassVar = {"seeds": 3, "widths": (2, 4), "factors": (1, 5), "end": 30, "num_epochs": 4}
    full: ClassVar = {
        "seeds": 32,
        "dimension": 500,
        "end": 1000,
        "widths": (2, 3, 4, 5, 6, 8),
        "decays": (0.0, 0.5, 1.0, 1.5, 2.0, 2.5),
        "inputs": 100,
        "outputs": 50,
        "num_epochs": 100,
    }

    seeds: int = 8
    """How many replicas."""
    widths: tuple[int, ...] = (2, 3, 4, 6)
    """K, units of erf students."""
    dimension: int = 300
    """N, inputs of erf students."""
    end: int = 100
    """Up to which time erf students learn, in units of N steps."""
    factors: tuple[int, ...] = (1, 2, 5, 10)
    """How many times as many units as the teacher a student of rectifiers has."""
    decays: tuple[float, ...] = (0.0, 1.0)
    """How fast the strength of the teacher's units falls."""
    inputs: int = 30
    """Of students of rectifiers."""
    outputs: int = 20
    """Of students of rectifiers."""
    num_epochs: int = 20
    """How long students of rectifiers learn."""

    def arms(self) -> Iterable[Arm]:
        """Return erf students by width and what is learnt, and students of rectifiers by factor and decay."""
        for learnt in (False, True):
            for width in self.widths:
                yield Arm(
                    labels={**GOLDT, "width": width, "learnt": learnt},
                    spec=self._online(width, learnt),
                    methods=(OrderParametersOfRun(until=10_000.0),),
                )
        for decay in self.decays:
            for factor in self.factors:
                yield Arm(
                    labels={"activation": "relu", "decay": decay, "width": factor, "learnt": True},
                    spec=self._rectified(factor, decay),
                    methods=(Alignment(),),
                )

    @claim(
        "Gradient descent follows the exact equations of the overlaps.",
        source="goldt2019dynamics",
        place="the theorem and the figures that compare both",
    )
    def runs_follow_the_equations(self, found: Found) -> Evidence:
        """The mean distance of errors after time 0, in powers of ten, averaged over arms by replica, against 0.1."""
        errors = found["order-parameters/errors"]
        keys = ["learnt", "width", "replica", "time"]
        logs = errors.assign(log=numpy.log10(errors["generalisation_error"]))
        both = logs.pivot_table(index=keys, columns="source", values="log").dropna()
        apart = (both["run"] - both["equations"]).abs()
        late = apart[both.index.get_level_values("time") > 0]
        return below(late.groupby("replica").mean(), what="distance, powers of ten", bound=0.1)

    @claim(
        "If only the first layer learns, surplus units harm: the error grows with the width.",
        source="goldt2019dynamics",
        place="the figure of error against width",
    )
    def fixed_fan_out_harms(self, found: Found) -> Evidence:
        """log10 of the final error by the equations, widest against K = 2, paired; a factor of 2 matters."""
        return above(self._growth(found, learnt=False), what="growth, powers of ten", least=0.3)

    @claim(
        "If both layers learn, surplus units cost nothing.",
        source="goldt2019dynamics",
        place="the figure of error against width",
    )
    def learnt_fan_out_does_not(self, found: Found) -> Evidence:
        """The same with a learnt fan-out; it costs nothing if the error is less than 1.25 times that of K = 2."""
        growth = self._growth(found, learnt=True)
        return below(growth, what="growth, powers of ten", bound=float(numpy.log10(1.25)))

    @claim(
        "Surplus units find more: a student ten times as wide matches more of the teacher's units.",
        source="tian2019luck",
        place="the experiments on two layers",
    )
    def wider_students_find_more(self, found: Found) -> Evidence:
        """Share of units found, widest against as wide as the teacher, at the largest decay; 0.1 matters."""
        ends = pick(self._directions(found), decay=max(self.decays))
        gain = paired(ends, "matched", {"width": max(self.factors)}, {"width": min(self.factors)})
        return above(gain, what="gain in share found", least=0.1)

    @claim(
        "Strong teacher units are found, weak ones are missed.",
        source="tian2019luck",
        place="the experiments on two layers",
    )
    def strong_units_first(self, found: Found) -> Evidence:
        """Share found of the stronger half minus the weaker one, at the largest decay, over all widths; 0.1 matters."""
        ends = pick(self._directions(found), decay=max(self.decays))
        ends["half"] = numpy.where(ends["direction"] < 5, "strong", "weak")
        gain = paired(ends, "matched", {"half": "strong"}, {"half": "weak"})
        return above(gain, what="difference in share found", least=0.1)

    @claim(
        "Losers fall silent: units that match no teacher unit have a small fan-out.",
        source="tian2019luck",
        place="the L-shaped figure of correlation against fan-out",
    )
    def losers_fall_silent(self, found: Found) -> Evidence:
        """log10 of mean fan-out norms, unmatched over matched units, at the largest factor; a factor of 2 matters."""
        units = pick(found["alignment/units"], activation="relu", width=max(self.factors))
        ends = units[units["step"] > 0]
        ends = ends.assign(won=ends["angle_degrees"] < MATCHED)
        norms = ends.groupby(["decay", "replica", "won"])["fan_out_norm"].mean().unstack().dropna()
        ratio = numpy.log10(norms[False] / norms[True]).groupby("replica").mean()
        return below(ratio, what="unmatched over matched, powers of ten", least=0.3)

    @claim(
        "Winners were lucky: the unit that wins a teacher unit was the nearest to it at the start.",
        source="tian2019luck",
        place="the title and the theory of competing units",
    )
    def winners_were_near(self, found: Found) -> Evidence:
        """The share of found teacher units won by the unit nearest at the start, minus chance; 0.1 matters."""
        both = pick(found["alignment/directions"], activation="relu", width=max(self.factors))
        keys = ["decay", "replica", "direction"]
        first = both[both["step"] == 0].set_index(keys)["unit"]
        last = both[both["step"] > 0].set_index(keys)
        same = (last["unit"] == first)[last["angle_degrees"] < MATCHED]
        chance = 1 / (10 * max(self.factors))
        return above(same.groupby("replica").mean() - chance, what="share above chance", least=0.1)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return final errors by width, and the shares of teacher units found."""
        errors = self._final(found).groupby(["learnt", "width"])["generalisation_error"]
        shares = self._directions(found).groupby(["decay", "width", "replica"])["matched"].mean()
        return {
            "errors": errors.agg(["mean", "min", "max", "count"]).reset_index(),
            "found": shares.groupby(["decay", "width"])
            .agg(["mean", "min", "max", "count"])
            .reset_index(),
        }

    def figures(self, found: Found) -> Mapping[str, Figure]:
        """Return final errors against width, error against time beside the equations, and the L of fan-outs."""
        final = self._final(found)
        final["learning"] = numpy.where(final["learnt"], "both layers", "first layer")
        final["log10"] = numpy.log10(final["generalisation_error"])
        widths = lines(
            final,
            "width",
            "log10",
            by="learning",
            labels=("K, units of the student", "log10 of the error"),
        )
        errors = found["order-parameters/errors"]
        errors["width"] = "K = " + errors["width"].astype(str)
        errors["learning"] = numpy.where(errors["learnt"], "both layers", "first layer")
        errors["log10"] = numpy.log10(errors["generalisation_error"])
        times = lines(
            errors[errors["time"] <= self.end],
            "time",
            "log10",
            by="source",
            across=["learning", "width"],
            share_y=True,
            columns=len(self.widths),
            labels=("steps / N", "log10 of the error"),
        )
        return {"width": widths, "time": times, "fan-out": self._scatter(found)}

    def _scatter(self, found: Found) -> Figure:
        units = found["alignment/units"]
        ends = units[(units["step"] > 0) & (units["width"] == max(self.factors))]
        figure, axes = panels(len(self.decays), share_y=True)
        for axis, (decay, rows) in zip(axes, ends.groupby("decay"), strict=True):
            axis.plot(
                numpy.cos(numpy.radians(rows["angle_degrees"])),
                rows["fan_out_norm"],
                ".",
                color=COLOURS[0],
                alpha=0.4,
                markersize=4,
                label="student unit",
            )
            axis.axvline(0.95, color="#999999", ls=":", label="found")
            axis.set_yscale("log")
            axis.set_title(f"strength j^-{decay:g}" if decay else "equal strengths")
            axis.set_xlabel("cosine to the nearest teacher unit")
        axes[0].set_ylabel("fan-out norm")
        legend(figure, axes)
        return figure

    def _final(self, found: Found) -> pandas.DataFrame:
        errors = pick(found["order-parameters/errors"], source="equations")
        return errors[errors["time"] == errors["time"].max()].copy()

    def _growth(self, found: Found, *, learnt: bool) -> "pandas.Series[float]":
        final = pick(self._final(found), learnt=learnt)
        logs = final.assign(log=numpy.log10(final["generalisation_error"]))
        return paired(logs, "log", {"width": max(self.widths)}, {"width": min(self.widths)})

    def _directions(self, found: Found) -> pandas.DataFrame:
        rows = found["alignment/directions"]
        ends = rows[rows["step"] > 0]
        return ends.assign(matched=(ends["angle_degrees"] < MATCHED).astype(float))

    def _online(self, width: int, learnt: bool) -> Spec:
        steps = self.dimension * self.end
        training = Training(
            optimizer=SGD(learning_rate=0.2 / self.dimension),
            batch_size=1,
            num_epochs=1,
            snapshots=AtSteps(given=tuple(steps * place // 10 for place in range(11))),
            log=AtSteps(),
            probes=(),
        )
        task = TeacherStudent(dimension=self.dimension, num_train=steps, noise=0.1)
        return Spec(net=Committee(width=width, learnt=learnt), task=task, training=training)

    def _rectified(self, factor: int, decay: float) -> Spec:
        training = Training(
            optimizer=SGD(learning_rate=0.01),
            batch_size=16,
            num_epochs=self.num_epochs,
            snapshots=AtSteps(),
            log=AtSteps(),
            probes=(),
        )
        task = ReLUTeacher(dimension=self.inputs, num_outputs=self.outputs, decay=decay)
        net = Rescaled(inner=MLP(widths=(10 * factor,)), factor=0.05)
        return Spec(net=net, task=task, training=training)
