"""Teacher and student: the claims on planted tables, the arms, and a tiny study from end to end."""

import pandas

from surplus.methods import Context
from surplus.store import Store
from surplus.studies import Found, study
from surplus.studies.questions.teacher_student_overlap import TeacherStudentOverlap

STUDY = TeacherStudentOverlap(widths=(2, 6), factors=(1, 10), decays=(0.0, 1.0))


def planted(fixed=2.5, learnt=1.0, off=1.05, narrow=4, wide=9, silent=0.1, lucky=True):
    """Return tables with these growths of error, and so many of ten teacher units found from the strongest on."""
    errors, directions, units = [], [], []
    for replica in range(6):
        jitter = 1 + replica / 200
        for learns, growth in ((False, fixed), (True, learnt)):
            for width in STUDY.widths:
                key = {"learnt": learns, "width": width, "replica": replica}
                final = 4e-4 * jitter * (growth if width == 6 else 1 + replica / 300)
                for time, error in ((0.0, 1.0), (10.0, 0.1), (10_000.0, final)):
                    errors.append(
                        {**key, "source": "equations", "time": time, "generalisation_error": error}
                    )
                    if time < 100:
                        run = error * (off if time else 1) * jitter
                        errors.append(
                            {**key, "source": "run", "time": time, "generalisation_error": run}
                        )
        for decay in STUDY.decays:
            for width in STUDY.factors:
                key = {"activation": "relu", "decay": decay, "width": width, "replica": replica}
                num = narrow if width == 1 else wide
                num -= replica == 0 and num < 10
                for direction in range(10):
                    for step in (0, 100):
                        angle = 5.0 if step and direction < num else 60.0
                        unit = direction if step or lucky else direction + 1
                        row = {**key, "step": step, "direction": direction, "unit": unit}
                        directions.append({**row, "angle_degrees": angle})
                for unit in range(4):
                    norm = (1.0 if unit < 2 else silent) * jitter * (1 + unit / 50 * replica)
                    angle = 5.0 if unit < 2 else 60.0
                    units.append({**key, "step": 100, "angle_degrees": angle, "fan_out_norm": norm})
    frames = {
        "order-parameters/errors": errors,
        "alignment/directions": directions,
        "alignment/units": units,
    }
    return Found({name: pandas.DataFrame(rows) for name, rows in frames.items()}, "default")


def verdicts(found):
    return {claim.name: each.verdict for claim, each in STUDY.evidence(found).items()}


def test_the_published_world_is_recognised():
    found = verdicts(planted())
    assert found == dict.fromkeys(found, "holds")


def test_the_opposite_world_is_recognised():
    found = verdicts(
        planted(fixed=1.0, learnt=2.0, off=3.0, narrow=10, wide=10, silent=1.0, lucky=False)
    )
    assert found == dict.fromkeys(found, "fails")


def test_the_arms_are_online_where_the_equations_ask_for_it():
    arms = list(TeacherStudentOverlap().arms())
    assert len(arms) == 8 + 8
    for arm in arms[:8]:
        steps = arm.spec.training.clock(arm.spec.task.num_train).num_steps
        assert arm.spec.training.batch_size == 1
        assert steps == arm.spec.task.num_train == 30_000


def test_a_tiny_study_from_end_to_end(tmp_path):
    tiny = TeacherStudentOverlap(
        seeds=2, widths=(2, 3), dimension=20, end=5, factors=(1, 2), num_epochs=1
    )
    context = Context(store=Store(tmp_path / "runs"), progress=False)
    outcome = study(tiny, "smoke", out=tmp_path / "out", context=context)
    assert len(outcome.study.tables(outcome.found)["errors"]) == 4
    assert set(outcome.study.figures(outcome.found)) == {"width", "time", "fan-out"}
