"""Internals that several parts of the package use: argument checks, files, shipped resources, colours, threads, torchvision."""
