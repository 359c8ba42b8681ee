"""What Prometheus sees. Served on `/metrics` by BentoML, which merges the workers; read nowhere in this project."""

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from feature_defs.engine.records import Answer, LabelReceipt, Statement

LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0)
SCORE_BUCKETS = tuple(edge / 20 for edge in range(1, 21))

REQUESTS = Counter("ct_requests_total", "Requests answered, by path and status.", ["path", "status"])
LATENCY = Histogram(
    "ct_request_seconds", "From the last byte of a request to the answer, by path.", ["path"], buckets=LATENCY_BUCKETS
)
PREDICTIONS = Counter(
    "ct_predictions_total", "Events answered, by role and version; repeats apart.", ["role", "version"]
)
REPEATS = Counter("ct_repeated_events_total", "Events that were known and got their first answer again.")
SCORES = Histogram("ct_score", "Scores given, by role.", ["role"], buckets=SCORE_BUCKETS)
LABELS = Counter("ct_labels_total", "Labels taken in, by kind and whether they had an effect.", ["kind", "accepted"])
CHAMPION = Gauge(
    "ct_champion_version", "Version of the champion; 0 when there is none.", multiprocess_mode="mostrecent"
)
REFUSED_PLANS = Gauge(
    "ct_plan_refused", "1 while the plan names a model that could not be loaded.", multiprocess_mode="mostrecent"
)
WATERMARK = Gauge("ct_watermark_seconds", "Newest arrival, in seconds since 1970.", multiprocess_mode="mostrecent")
BACKLOG = Gauge(
    "ct_journal_backlog", "Journal records not yet drained, by kind.", ["kind"], multiprocess_mode="mostrecent"
)


def count_answers(answers: Sequence[Answer]) -> None:
    """Count the events of one request; repeats are no new predictions."""
    for answer in answers:
        if answer.repeated:
            REPEATS.inc()
        else:
            PREDICTIONS.labels(answer.role, answer.version).inc()
            SCORES.labels(answer.role).observe(answer.score)


def count_receipts(statements: Sequence[Statement], receipts: Sequence[LabelReceipt]) -> None:
    """Count the labels of one request."""
    for statement, receipt in zip(statements, receipts, strict=True):
        LABELS.labels(statement.kind, str(receipt.accepted).lower()).inc()
