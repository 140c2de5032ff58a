"""Adapters for reinforcement-learning libraries, one module each. A module imports its own library and no other.

Their names begin with `for_`, because a library that loads a file by its path may look for modules in the file's folder afterwards, and
would find an adapter where it wants another library.

In all of them a reward that could not be had stays out of the update. How depends on what the library offers; each module says it.
"""
