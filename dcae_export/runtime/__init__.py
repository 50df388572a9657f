"""Run a bundle with ONNX Runtime, NumPy and OpenCV; never with PyTorch."""
