"""Compiled training and prediction, reused by networks that compute the same.

This is for speed only: results are those of Keras run plainly.
"""
