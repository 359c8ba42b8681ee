"""Asset checks: blocking contracts on data and gates on candidates. What they decide is computed in plain code."""
