import sqlite3

from storing import written
from surplus.store import Store


def test_the_index_says_what_the_folders_say(tmp_path):
    store = Store(tmp_path)
    assert store.summaries() == []
    written(store)
    written(store, seed=1, finish=False)
    one, two = store.summaries()
    assert (one.state, one.step, one.net, one.task) == ("complete", 20, "tiny-mlp", "stripes")
    assert one.metrics["test_accuracy"] == 0.8
    assert two.state == "interrupted"
    assert store.summaries() == [one, two]
    assert store.rebuild() == [one, two]


def test_it_follows_the_folders(tmp_path):
    store = Store(tmp_path)
    run = written(store)
    store.summaries()
    store.delete(run)
    assert store.summaries() == []


def test_a_broken_index_is_made_anew(tmp_path):
    store = Store(tmp_path)
    written(store)
    before = store.summaries()
    (tmp_path / "index.sqlite").write_bytes(b"not a database at all, by any means" * 10)
    assert store.summaries() == before
    (tmp_path / "index.sqlite").unlink()
    assert store.summaries() == before


def test_an_index_of_another_shape_costs_only_speed(tmp_path):
    store = Store(tmp_path)
    written(store)
    before = store.summaries()
    (tmp_path / "index.sqlite").unlink()
    with sqlite3.connect(tmp_path / "index.sqlite") as other:
        other.execute("create table runs (name)")
    other.close()
    assert store.summaries() == before
    assert store.rebuild() == before


def test_rows_come_from_the_index_and_not_from_the_folders(tmp_path):
    """A row whose files have not changed is not read again: that is what the index is for."""
    store = Store(tmp_path)
    written(store)
    store.summaries()
    with sqlite3.connect(tmp_path / "index.sqlite") as index:
        index.execute("update runs set net = 'from the index'")
    index.close()
    assert store.summaries()[0].net == "from the index"
    assert store.rebuild()[0].net == "tiny-mlp"
