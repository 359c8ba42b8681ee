"""The loop as Dagster assets over a Delta lake, and the plain code behind each station.

`lake`, `learners`, `gates`, `release`, `drift`, `backtest` and `simulator` know nothing of Dagster; `assets`, `checks`,
`sensors`, `schedules` and `jobs` are thin shells over them.
"""
