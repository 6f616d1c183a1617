from peers.peer import Peer


class OnnxRuntime(Peer):
    name, title, package = "onnxruntime", "ONNX Runtime", "onnxruntime"

    def __init__(self, task, image):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = task.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_free_dimension_override_by_name("N", task.batch)
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        self.session = onnxruntime.InferenceSession(task.onnx, options, providers=["CPUExecutionProvider"])
        # Tensors are bound once, as ours are: small networks would measure Python else.
        self.ports = self.session.io_binding()
        self.image, self.value = image, onnxruntime.OrtValue.ortvalue_from_numpy(image)
        self.ports.bind_ortvalue_input(self.session.get_inputs()[0].name, self.value)
        self.ports.bind_output(self.session.get_outputs()[0].name, "cpu")

    def step(self):
        self.session.run_with_iobinding(self.ports)

    def output(self):
        return self.ports.get_outputs()[0].numpy()
