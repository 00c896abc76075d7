"""The README's table: real models, Burnish's recipes and the libraries' default recipes, in the same paired run.

    python -m tests.bench.table ZOO OUT --peers PYTHON [--only MODEL ...] [--devices RUNTIME:DEVICE ...]

``ZOO`` is what ``tests.bench.zoo`` made; ``PYTHON`` an interpreter with onnxruntime and nncf, which makes the
libraries' results. Passes see the calibration data only; fidelity and accuracy are of the other half. Run it with
nothing else.
"""
