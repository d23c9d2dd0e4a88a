"""Throughput, memory and error of the operators, beside what the machine can do at all."""
