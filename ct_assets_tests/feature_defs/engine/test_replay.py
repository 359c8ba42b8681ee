"""A long replay through the online store, the benchmark's own: hot customers, late rows, corrections, restarts."""

from benchmarks import features_online


def test_a_hundred_thousand_events_are_served_as_offline_computes_them(tmp_path):
    assert features_online.replay(tmp_path, 100_000).figure.startswith("0 of 1,500,000 ")
