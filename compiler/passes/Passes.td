//===- Passes.td - Passes on the cnn dialect ------------------------------===//

#ifndef HALCYON_PASSES
#define HALCYON_PASSES

include "mlir/Pass/PassBase.td"

def OpenBatch : Pass<"cnn-open-batch", "::halcyon::cnn::ModelOp"> {
  let summary = "The batch is free at run time";
  let description = [{
    A model may say how many images it takes at once. Kernels and the memory
    plan leave the batch open all the same, so that it is the outermost size of
    a feature map and nothing else.

    ```mlir
    %x = cnn.input "image" : tensor<1x3x8x8xf32>
    %1 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<1x3x8x8xf32>) -> tensor<1x3x4x4xf32>
    ```
    becomes
    ```mlir
    %x = cnn.input "image" : tensor<?x3x8x8xf32>
    %1 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x3x8x8xf32>) -> tensor<?x3x4x4xf32>
    ```
  }];
}

def SplitTraining : Pass<"cnn-split-training", "::mlir::ModuleOp"> {
  let summary = "A model that trains becomes a step and an evaluation";
  let description = [{
    Of a model with `cnn.train` two are made, `step` and `eval`. In both, weights
    are inputs without a batch, `param:NAME`, which the trainer holds. In `eval`
    the model behaves as in inference. In `step` norms take the statistics of the
    batch, and show the running ones' new values as outputs of the weights' names;
    dropout draws from the inputs `train.seed` and `train.step`; the weights to be trained are
    marked `cnn.wrt`.

    `check` makes what gradients are checked with: both behave as in training, in
    `step` inputs of the model are marked, too, and a model without a loss gets
    one, the sum of the squares of its outputs.

    `autograd` makes `NAME_training` and `NAME_inference` of any model, without a loss:
    inputs become `in:NAME`, outputs `out:NAME`, in both all inputs that may have
    gradients are marked, and inputs `cotangent:NAME`, marked `cnn.cotangent`,
    stand for the gradients of the outputs. Where both behave the same there is
    `NAME_training` alone.

    ```mlir
    cnn.model @net attributes {cnn.train = {...}} {
      %x = cnn.input "image" : tensor<?x3x8x8xf32>
      %w = cnn.weight "fc.weight" : tensor<10x192xf32>
      ...
    ```
    becomes
    ```mlir
    cnn.model @step attributes {cnn.train = {...}} {
      %x = cnn.input "image" : tensor<?x3x8x8xf32>
      %w = cnn.input "param:fc.weight" {cnn.wrt} : tensor<10x192xf32>
      ...
    ```
  }];
  let options = [
    Option<"check", "check", "bool", "false", "For checking gradients">,
    Option<"autograd", "autograd", "bool", "false",
           "For gradients by what another program makes of the outputs">
  ];
}

def CutBackward : Pass<"cnn-cut-backward", "::mlir::ModuleOp"> {
  let summary = "Forward and backward pass as models of their own";
  let description = [{
    Of a differentiated model with inputs `cnn.cotangent`, everything that depends
    on them becomes `NAME_backward`, the rest `NAME_forward`. What the former
    needs of the latter is an output `saved:N` there and an input here;
    elementwise values are computed again from what they were made of, so that a
    convolution with its norm and activation saves one tensor.

    ```mlir
    cnn.model @net_training {
      %x = cnn.input "in:x" : tensor<?x8xf32>
      %g = cnn.input "cotangent:y" {cnn.cotangent = "out:y"} : tensor<?x8xf32>
      ...
    ```
    becomes
    ```mlir
    cnn.model @net_training_forward {
      %x = cnn.input "in:x" : tensor<?x8xf32>
      ...
    cnn.model @net_training_backward {
      %g = cnn.input "cotangent:y" : tensor<?x8xf32>
      %0 = cnn.input "saved:0" : tensor<?x8x4x4xf32>
      ...
    ```
  }];
}

def Widen : Pass<"cnn-widen", "::halcyon::cnn::ModelOp"> {
  let summary = "Everything in double precision";
  let description = [{
    Tensors and scalars of f32 become f64.

    ```mlir
    %1 = cnn.flatten %0 : (tensor<?x8x2x2xf32>) -> tensor<?x32xf32>
    ```
    becomes
    ```mlir
    %1 = cnn.flatten %0 : (tensor<?x8x2x2xf64>) -> tensor<?x32xf64>
    ```
  }];
}

def Differentiate : Pass<"cnn-differentiate", "::halcyon::cnn::ModelOp"> {
  let summary = "Gradients of the loss";
  let description = [{
    Adds, to a model with an output `loss` and inputs marked `cnn.wrt`, outputs
    `grad:NAME`: the gradients of the loss, its mean where it is one value per
    image, with respect to those inputs. Operations are taken in reverse; what
    reaches a value on several ways is summed; what no marked input reaches costs
    nothing. Operations that build their own gradients do so, and of the others
    `cnn.adjoint` is derived from the algorithm. `derived` takes that one of all
    operations. Where inputs are marked `cnn.cotangent`, no loss is needed: they are
    the gradients of the outputs that they name.
  }];
  let options = [
    Option<"derived", "derived", "bool", "false",
           "Derive every gradient from the algorithm">
  ];
}

def Sharpen : Pass<"cnn-sharpen", "::halcyon::cnn::ModelOp"> {
  let summary = "Gradients taken a little uphill";
  let description = [{
    Where `cnn.train` says `sam`, everything is computed once more with other
    weights, and gives the outputs `grad:NAME`: with w + rho * g / |g| for a
    weight w of gradient g, |g| the norm over all of them (Foret et al., 2021).
    Statistics and the loss are those of the weights themselves.
  }];
}

def UpdateWeights : Pass<"cnn-update-weights", "::halcyon::cnn::ModelOp"> {
  let summary = "The optimizer's step";
  let description = [{
    Applies `cnn.rule` to each gradient: outputs `grad:NAME` become outputs
    `param:NAME` and `slot:SLOT:NAME`, behind everything that reads the old
    values, so that the trainer may bind inputs and outputs to the same memory.
    `train.rate` and `train.step` are inputs. Clipping, accumulation and rates of
    parts are as `cnn.train` says.
  }];
}

def NormalizePadding
    : Pass<"cnn-normalize-padding", "::halcyon::cnn::ModelOp"> {
  let summary = "One form for strides and padding";
  let description = [{
    After this pass, whatever way a model pads, each convolution and pooling
    has four numbers of zeros around its input, none of them in vain:

    - `auto_pad` becomes numbers;
    - padding at the end that no window reads is dropped;
    - cells that a pooling with `ceil` overhangs become padding, unless the
      operation tells the two apart (`avgpool` with `count_pad` and padding);
    - a stride that is never taken and the dilation of a single tap become 1;
    - a convolution with another `pad_mode` than zero reads a `cnn.pad`;
    - a `cnn.pad` with zeros becomes part of what reads it.

    ```mlir
    %1 = cnn.conv %x, %w {auto_pad = 1 : i32} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x6x6xf32>
    ```
    becomes
    ```mlir
    %1 = cnn.conv %x, %w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x6x6xf32>
    ```
  }];
}

def FoldBatchNorm : Pass<"cnn-fold-batchnorm", "::halcyon::cnn::ModelOp"> {
  let summary = "Batch normalisation as part of the layer before it";
  let description = [{
    With s = weight / sqrt(running_var + eps) and t = bias - running_mean * s,
    a batch normalisation is y = x * s + t. Where x is a layer linear in its
    weight, W * z + b, and nothing else reads it, y = (s W) * z + (s b + t): the
    new weight and bias are computed when the program is made.

    ```mlir
    %1 = cnn.conv %x, %w : (...) -> ...
    %2 = cnn.batchnorm %1, %weight, %bias, %mean, %var : (...) -> ...
    ```
    becomes
    ```mlir
    %s = cnn.norm_scale %weight, %var {eps = 1.0e-5 : f64} : (...) -> tensor<8xf32>
    %t = cnn.norm_shift %bias, %mean, %s : (...) -> tensor<8xf32>
    %sw = cnn.scale_filter %w, %s {axis = 0 : i64} : (...) -> ...
    %2 = cnn.conv %x, %sw, %t : (...) -> ...
    ```

    Any other batch normalisation becomes an elementwise multiply-add.

    ```mlir
    %2 = cnn.map "scale_shift" %x, %s, %t : (...) -> ... {
    ^bb0(%a: f32, %scale: f32, %shift: f32):
      %p = arith.mulf %a, %scale : f32
      %q = arith.addf %p, %shift : f32
      cnn.yield %q : f32
    }
    ```
  }];
}

def Simplify : Pass<"cnn-simplify", "::halcyon::cnn::ModelOp"> {
  let summary = "Layers that do nothing, and cheaper forms of those that do";
  let description = [{
    - An elementwise operation, pad, pooling or upsampling that is the identity
      goes away, and so do pads of pads and concatenations within others.
    - A pooling over the whole map is a global one; an adaptive pooling whose
      cells are equal is a plain one.
    - A mean over windows commutes with a convolution of one tap, and after it
      there is less to convolve (DenseNet's transitions).

    ```mlir
    %1 = cnn.conv %x, %w : (tensor<?x16x8x8xf32>, tensor<8x16x1x1xf32>) -> tensor<?x8x8x8xf32>
    %2 = cnn.avgpool %1 {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x8x8x8xf32>) -> tensor<?x8x4x4xf32>
    ```
    becomes
    ```mlir
    %1 = cnn.avgpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x16x8x8xf32>) -> tensor<?x16x4x4xf32>
    %2 = cnn.conv %1, %w : (tensor<?x16x4x4xf32>, tensor<8x16x1x1xf32>) -> tensor<?x8x4x4xf32>
    ```

    Runs after `cnn-normalize-padding` and `cnn-fold-batchnorm`, which bring
    windows to one form and convolutions next to what follows them.
  }];
}

def Fuse : Pass<"cnn-fuse", "::halcyon::cnn::ModelOp"> {
  let summary = "Groups operations into kernels";
  let description = [{
    Every operation that computes goes into a `cnn.fused`, which is one kernel:
    one operation with structure and the elementwise operations around it, or
    elementwise operations alone. Concatenation and flattening stay outside;
    they are a matter of where their operands lie.

    A group grows at its end by an elementwise operation (activation, residual
    addition) that reads it, when all readers of every value inside are in the
    group and no operand is smaller than the result. Of two groups that an
    addition could join, the later one takes it. An operation that reads each
    element for one position only (a convolution of one tap, a pooling whose
    windows don't overlap) takes the elementwise operations before it as a
    prologue.

    A group stands where its last operation stood: what it reads from outside is
    computed by then, and since nothing outside reads its inner values, no cycle
    can arise.

    ```mlir
    %1 = cnn.conv %x, %w, %b : (...) -> ...
    %2 = cnn.map "add" %1, %skip : (...) -> ... { ... }
    %3 = cnn.map "relu" %2 : (...) -> ... { ... }
    ```
    becomes
    ```mlir
    %3 = cnn.fused %x, %w, %b, %skip : (...) -> ... {
    ^bb0(%0: tensor<...>, ...):
      %1 = cnn.conv %0, ...
      %2 = cnn.map "add" %1, ...
      %4 = cnn.map "relu" %2 ...
      cnn.yield %4 : tensor<...>
    }
    ```
  }];
  let options = [
    Option<"maxEpilogue", "max-epilogue", "unsigned", "16",
           "Elementwise operations in a group, at most, beside the prologue">,
    Option<"enablePrologue", "enable-prologue", "bool", "true",
           "Let operations that read each element once compute their input">,
    Option<"maxPrologue", "max-prologue", "unsigned", "4",
           "Elementwise operations in a prologue, at most">
  ];
}

def AssignPrecision
    : Pass<"cnn-assign-precision", "::halcyon::cnn::ModelOp"> {
  let summary = "Which values and weights are stored in bf16";
  let description = [{
    `cnn.precision` on a layer, or else the option, says how its kernel stores
    what it writes and its filters: as f32, or rounded to bf16. Inside a kernel
    everything is f32. Where nothing is said of a layer, the first layer behind
    an input and the last one before an output stay f32 under bf16, with all
    that lies between them and the model's border, and so does softmax. A layer
    stays f32, too, where no kernel computes it in bf16. `cnn.kept_f32` keeps
    the reason.

    A value is bf16 where the kernel that writes it is, or where all that read
    it are; what the caller sees is f32. A kernel that cannot read a value as it
    is stored gets a conversion.

    ```mlir
    %1 = cnn.fused %x, %w, %b : (...) -> tensor<?x8x6x6xf32> {
    ^bb0(%0: tensor<?x8x6x6xf32>, %2: tensor<8x8x3x3xf32>, %3: tensor<8xf32>):
      %4 = cnn.conv %0, %2, %3 {cnn.precision = "bf16"} : (...) -> tensor<?x8x6x6xf32>
      %5 = cnn.map "relu" %4 : (...) -> tensor<?x8x6x6xf32> { ... }
      cnn.yield %5 : tensor<?x8x6x6xf32>
    }
    ```
    becomes
    ```mlir
    %r = cnn.round %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xbf16>
    %1 = cnn.fused %x, %r, %b : (...) -> tensor<?x8x6x6xbf16> {
    ^bb0(%0: tensor<?x8x6x6xbf16>, %2: tensor<8x8x3x3xbf16>, %3: tensor<8xf32>):
      %4 = cnn.conv %0, %2, %3 : (...) -> tensor<?x8x6x6xf32>
      %5 = cnn.map "relu" %4 : (...) -> tensor<?x8x6x6xbf16> { ... }
      cnn.yield %5 : tensor<?x8x6x6xbf16>
    }
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "The machine">,
    Option<"precision", "precision", "std::string", "\"f32\"",
           "Of layers of which nothing is said: f32 or bf16">
  ];
}

def CutWeights : Pass<"cnn-cut-weights", "::halcyon::cnn::ModelOp"> {
  let summary = "Weights that a device can bind";
  let description = [{
    Where a device's kernels see only so much of a buffer, a dense layer with more
    weights becomes several, each of some of its outputs.

    ```mlir
    %w = cnn.weight "fc.weight" : tensor<8x64xf32>
    %1 = cnn.linear %x, %w : (...) -> tensor<?x8xf32>
    ```
    becomes
    ```mlir
    %a = cnn.weight "fc.weight" {cnn.rows = array<i64: 0, 8>} : tensor<4x64xf32>
    %b = cnn.weight "fc.weight" {cnn.rows = array<i64: 4, 8>} : tensor<4x64xf32>
    %2 = cnn.linear %x, %a : (...) -> tensor<?x4xf32>
    %3 = cnn.linear %x, %b : (...) -> tensor<?x4xf32>
    %1 = cnn.concat %2, %3 : (...) -> tensor<?x8xf32>
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "The machine">,
    Option<"most", "most", "int64_t", "0", "Bytes of a weight; 0: what the machine binds">
  ];
}

def FusePairs : Pass<"cnn-fuse-pairs", "::halcyon::cnn::ModelOp"> {
  let summary = "Two groups with structure become one kernel where that is faster";
  let description = [{
    A group that alone reads another's result joins it where some kernel
    computes both for less than the cheapest kernels of the two. What is said
    of them (`cnn.max_error`) must be the same, and neither may be scheduled. An
    algorithm that is asked for forms pairs wherever it applies to them, and
    none where it applies to one of the two.

    ```mlir
    %1 = cnn.fused %x, %u : (...) -> ... { cnn.conv ... cnn.map "relu6" ... }
    %2 = cnn.fused %1, %w : (...) -> ... { cnn.conv ... }
    ```
    becomes
    ```mlir
    %2 = cnn.fused %x, %u, %w : (...) -> ... {
    ^bb0(%a: tensor<...>, %b: tensor<...>, %c: tensor<...>):
      %0 = cnn.conv %a, %b ...
      %1 = cnn.map "relu6" %0 ...
      %3 = cnn.conv %1, %c ...
      cnn.yield %3 : tensor<...>
    }
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "The machine">,
    Option<"algorithm", "algorithm", "std::string", "\"\"",
           "Take this one wherever it applies">
  ];
}

def ChooseAlgorithm : Pass<"cnn-choose-algorithm", "::halcyon::cnn::ModelOp"> {
  let summary = "A kernel and its schedule for every group";
  let description = [{
    Asks every kernel of the library whether it computes a group and what it
    costs on the target, and takes the cheapest whose error is within
    `cnn.max_error`. The others' costs, or what rules them out, stay in
    `reason`.

    ```mlir
    %1 = cnn.fused %x, %w {reason = "cheapest by the cost model; direct 0.120 ms; ...",
                           schedule = #cnn.schedule<"winograd4", {...}>} : ...
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "The machine">,
    Option<"algorithm", "algorithm", "std::string", "\"\"",
           "Take this one wherever it applies">
  ];
}

def AssignLayout : Pass<"cnn-assign-layout", "::halcyon::cnn::ModelOp"> {
  let summary = "One layout for every value";
  let description = [{
    Picks, over the whole graph, the layouts with the least conversions among
    those with which the chosen kernels can run. Types get their layout; a
    conversion is a kernel of its own with `cnn.relayout`. Zero padding becomes
    a halo of the producer's buffer, concatenated values become slices of one
    buffer, and weights are packed as their kernels read them.

    ```mlir
    %1 = cnn.fused %x, %w {...} : (tensor<?x32x8x8xf32>, tensor<32x32x3x3xf32>) -> tensor<?x32x8x8xf32>
    ```
    becomes
    ```mlir
    %p = cnn.pack %w : tensor<32x32x3x3xf32> to tensor<32x32x3x3xf32, #cnn.packed<"OIhw16i16o">>
    %1 = cnn.fused %x, %p {...} : (tensor<?x32x8x8xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1]>>, ...)
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "The machine">
  ];
}

def FoldAdjointFilters : Pass<"cnn-fold-adjoint-filters", "::halcyon::cnn::ModelOp"> {
  let summary = "Weights are turned over where they are packed";
  let description = [{
    The filter of an input's gradient is read once, by the kernel that packs it,
    where nothing else reads it.

    ```mlir
    %t = cnn.fused %w { cnn.adjoint_filter ... }
    %p = cnn.fused %t { cnn.pack ... }
    ```
    becomes
    ```mlir
    %p = cnn.fused %w { cnn.pack %0 {adjoint = 1 : i64} ... }
    ```
  }];
}

def LowerToExec : Pass<"cnn-lower-to-exec", "::mlir::ModuleOp"> {
  let summary = "Models become programs of kernel calls";
  let description = [{
    Each fused group becomes a call of a kernel, equal groups of the same
    kernel. Values become windows on buffers: of the caller where they are
    inputs or outputs, of the arena otherwise. What is computed from weights
    alone goes to the function `prepare`.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "The machine">
  ];
  let dependentDialects = ["::halcyon::exec::ExecDialect"];
}

def Recompute : Pass<"exec-recompute", "::mlir::ModuleOp"> {
  let summary = "What does not fit is computed again";
  let description = [{
    Of a training, `step` and `eval`: where a step of `batch` images takes more than
    `memory` bytes, buffers are let go, and the calls that filled them are made
    again before those that read them later, with buffers of their own. Of all
    there are, those are taken first that cost the least time for the memory that
    they save. The same kernels compute the same numbers.

    ```mlir
    exec.call @relu(%a) -> (%b)
    ...
    exec.call @grad(%b, %g) -> (%h)
    ```
    becomes
    ```mlir
    exec.call @relu(%a) -> (%b)
    ...
    exec.call @relu(%a) -> (%c) {reason = "computed again to save memory"}
    exec.call @grad(%c, %g) -> (%h)
    ```
  }];
  let options = [
    Option<"memory", "memory", "int64_t", "0", "Bytes that training may take">,
    Option<"batch", "batch", "int64_t", "1", "Images of a step">
  ];
}

def SplitBatch : Pass<"exec-split-batch", "::mlir::ModuleOp"> {
  let summary = "Calls whose values leave the caches take a batch in parts";
  let description = [{
    A batch's values at large sizes pass through memory between one call and the
    next. Where such calls stand one behind the other, and each computes an image
    from the same image alone, they are made for a few images at a time: a chain.
    A buffer that only a chain uses holds no more than those images. Chains end
    where the weights, which every part reads again, would leave the caches. What
    packs weights between two calls of a chain is called before it, and up to two
    calls that sum over the batch what one of them gives, behind it.

    What an image is computed from, and by which kernel, does not change. `batch`
    is how many images are expected where the program takes any number.

    ```mlir
    exec.call @conv(%x, %w) -> (%a)
    exec.call @pool(%a) -> (%b)
    ```
    becomes
    ```mlir
    exec.call @conv(%x, %w) -> (%a) {chain = 0 : i64, images = 1 : i64}
    exec.call @pool(%a) -> (%b) {chain = 0 : i64, images = 1 : i64}
    ```
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "The machine">,
    Option<"batch", "batch", "int64_t", "8", "Images that are expected">,
    Option<"images", "images", "int64_t", "0", "At a time; 0: by the machine">
  ];
}

def PlanMemory : Pass<"exec-plan-memory", "::halcyon::exec::ProgramOp"> {
  let summary = "Offsets of the buffers in one arena";
  let description = [{
    Buffers that are never alive together share memory, and an output lies over
    an input that nothing reads later, where the kernel allows it. Several greedy orders
    are tried and the smallest arena is kept; `arena_bound` is the largest sum
    of buffers alive at one time, below which no plan can go. What one call of a
    chain reads or writes of the whole batch is alive during all of the chain;
    what it keeps for a few images lies behind what is alive then.

    ```mlir
    %0 = exec.arena {buffer = 0 : i64, bytes = 4096 : i64, slot = 0 : i64} : ...
    ```
  }];
}

#endif // HALCYON_PASSES
