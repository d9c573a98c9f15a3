"""Tests of starting and stopping: port, lock, child process, backup."""
