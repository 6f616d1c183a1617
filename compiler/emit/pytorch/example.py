"""Trains @NAME@ on numbers drawn at random for a few steps: the loss goes down.

    pip install --no-build-isolation .
    python example.py
"""

import torch

import @NAME@

torch.manual_seed(0)
model = @NAME@.Model()
inputs = [torch.randn([size or 8 for size in shape]) if kind == "float32" else
          torch.zeros([size or 8 for size in shape], dtype=getattr(torch, kind)) for _, shape, kind in @NAME@.INPUTS]
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for step in range(5):
    outputs = model(*inputs)
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    loss = sum(output.square().mean() for output in outputs if output.requires_grad)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.6g}")
