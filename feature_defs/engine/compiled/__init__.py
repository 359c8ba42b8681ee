"""What Numba compiles. Import these modules inside functions only: Numba costs half a second to load."""
