"""What was served over HTTP is what offline computation makes of the same journal, to the bit."""

import random

from ct_assets_tests.bento import records, worlds
from feature_defs.card_fraud import task
from feature_defs.engine import offline, skew


def test_served_vectors_equal_offline_ones_to_the_bit(client, desk) -> None:
    rng = random.Random(3)
    batches = []
    for number in range(600):
        row = worlds.event(number, amount=rng.choice([0.1, 12.345, 99.99, 7, 1e6]), customer_id=rng.randrange(4))
        batches.append(("/predict", "events", [row]))
        if number % 7 == 0:
            batches[-1][2].append(worlds.event(100_000 + number, tx_time="2018-04-01T12:00:00Z"))  # later and later
        if number > 40 and number % 2:
            about = rng.randrange(number)
            batches.append(("/labels", "labels", [worlds.label(about, rng.randrange(2), days=rng.uniform(1, 12))]))
        if number % 13 == 0:
            batches.append(batches[rng.randrange(len(batches))])  # a retry
    for path, key, rows in batches:
        assert client.post(path, json={key: rows}).status_code == 200

    store = desk._store
    known = records.events(task, store)
    stated = records.labels(store)
    assert len(known) == 600 + len(range(0, 600, 7))
    assert len(stated) > 200
    recomputed = offline.compute(task, known, known, stated)
    found = skew.compare(records.served(task, store), recomputed, task.feature_names)
    assert found.passed, found
    assert found.compared == len(known) * len(task.feature_names)
    assert (recomputed["terminal_fraud_count_30d"] > 0).any()
    assert recomputed["terminal_fraud_mean_7d"].null_count() < len(known)
