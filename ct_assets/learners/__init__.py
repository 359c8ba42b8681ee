"""Learners: fit, predict, save and load, deterministic given seed and threads, without pickle.

Which learner a task uses is data (`feature_defs.learner`); which rows it sees is decided in `ct_assets.training`.
"""
