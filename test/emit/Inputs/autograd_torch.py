"""autograd.cnn as a module of torch's own beside the one that was compiled.

    autograd_torch.py

Both get the same state, inputs and gradients of the outputs, in training and in inference, for
several batches; outputs, gradients, and the norms' statistics are compared.
"""

import torch
from torch import nn

import autograd
import dropped

LIMIT = 2e-5  # of the largest value


class Reference(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.deep_norm = nn.BatchNorm2d(8)
        self.mix, self.head = nn.Conv2d(16, 12, 1), nn.Linear(432, 5)

    def forward(self, image, shift):
        x = torch.relu(self.norm(self.stem(image)))
        x = x + nn.functional.silu(self.deep_norm(self.deep(x)))
        x = torch.cat([nn.functional.max_pool2d(x, 2), nn.functional.avg_pool2d(x, 2)], 1)
        features = torch.relu(self.mix(x))
        return self.head(features.flatten(1)) + shift, features


def equal(ours, right, what, least=1e-6):
    """Beside the largest value of all, at least `least`: some gradients are zero but for rounding."""
    assert ours is not None and ours.shape == right.shape and ours.dtype == right.dtype, what
    error = (ours - right).abs().max() / max(right.abs().max().item(), least)
    assert error <= LIMIT, f"{what}: {error}"


def compare(ours, right, batch, whole=True):
    image = torch.randn(batch, 3, 12, 12)
    inputs = [[image.clone().requires_grad_(), torch.ones(batch, 5).requires_grad_()] for _ in range(2)]
    results = [model(*given) for model, given in zip((ours, right), inputs)]
    weights = [torch.randn_like(result) for result in results[1]]
    used = slice(None) if whole else slice(1)
    for outputs in results:
        torch.autograd.backward(outputs[used], weights[used])
    for name, a, b in zip(("logits", "features"), *results):
        equal(a, b, name)
    for name, a, b in zip(("image", "shift"), *inputs):
        equal(a.grad, b.grad, name)
    theirs = dict(right.named_parameters())
    largest = max(parameter.grad.abs().max().item() for parameter in theirs.values() if parameter.grad is not None)
    for name, a in ours.named_parameters():
        b = theirs[name]
        equal(a.grad, b.grad, name, largest)
        a.grad = b.grad = None
    for name, a in ours.named_buffers():
        equal(a, dict(right.named_buffers())[name], name)


torch.manual_seed(3)
right, ours = Reference(), autograd.Model()
# What was compiled has torch's names, and takes its state.
assert set(ours.state_dict()) == {name for name in right.state_dict() if "num_batches" not in name}
ours.load_state_dict(right.state_dict())
for training in (True, False):
    ours.train(training)
    right.train(training)
    for batch in (1, 2, 7):
        compare(ours, right, batch)
    compare(ours, right, 3, whole=False)
    print("training" if training else "inference", "equal")

# Steps of an optimizer go the same way.
optimizers = [torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9) for model in (ours.train(), right.train())]
image, shift, label = torch.randn(6, 3, 12, 12), torch.zeros(6, 5), torch.arange(6) % 5
for _ in range(5):
    losses = []
    for model, optimizer in zip((ours, right), optimizers):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(image, shift)[0], label)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
assert abs(losses[0] - losses[1]) < 1e-4 * losses[1], losses
print("5 steps equal")

# The derivative in a direction, by differences.
ours.eval()
image = torch.randn(2, 3, 12, 12, requires_grad=True)
way = torch.randn_like(image)
(slope,) = torch.autograd.grad(ours(image, torch.zeros(2, 5))[0].sum(), image)
with torch.no_grad():
    ends = [ours(image + step * way, torch.zeros(2, 5))[0].double().sum() for step in (-1e-3, 1e-3)]
found = (ends[1] - ends[0]) / 2e-3
assert abs(found - (slope * way).sum()) < 2e-2 * abs(found) + 1e-2, (found, (slope * way).sum())
print("differences agree")

# Dropout follows torch's seed, and the gradient what was dropped.
model = dropped.Model().train()
image = torch.randn(4, 3, 12, 12)
results = []
for seed in (1, 1, 2):
    torch.manual_seed(seed)
    results.append(model(image, torch.zeros(4, 5))[0])
assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
torch.manual_seed(1)
logits, features = model(image, torch.zeros(4, 5))
logits.sum().backward()
assert torch.isfinite(model.head.weight.grad).all() and (model.head.weight.grad != 0).any()
assert torch.equal(model.eval()(image, torch.zeros(4, 5))[0], model(image, torch.zeros(4, 5))[0])
print("dropout follows the seed")

for wrong in ((image.double(), torch.zeros(4, 5)), (image, torch.zeros(3, 5)), (image[:, :2], torch.zeros(4, 5))):
    try:
        ours(*wrong)
    except (TypeError, ValueError) as error:
        print(error)
image.requires_grad_()
(slope,) = torch.autograd.grad(ours(image, torch.zeros(4, 5))[0].sum(), image, retain_graph=True)
try:
    torch.autograd.grad(ours(image, torch.zeros(4, 5))[0].sum(), image, create_graph=True)
except RuntimeError as error:
    print(error)
