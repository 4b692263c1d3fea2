"""A world to practise in: the real reconciler against a simulated cloud, on a virtual clock, from a seed.

A developer's tool; nothing of the product imports it. ``docs/simulator.md`` says what is real here and what is not.
"""
