"""A seeded world of card payments, for machines without data and for tests that need to know the truth.

Plain numpy; what the payments are used for lives elsewhere. The kinds of customers, terminals and fraud follow the
description of the transaction simulator in the Fraud Detection Handbook (Le Borgne et al., 2022, chapter 3); late
labels, season, card testing and faults are this project's.
"""
