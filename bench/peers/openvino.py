from peers.peer import Peer


class OpenVino(Peer):
    name, title, package = "openvino", "OpenVINO", "openvino"
    precisions = ("f32", "bf16")

    def __init__(self, task, image):
        import openvino

        core = openvino.Core()
        model = core.read_model(task.onnx)
        model.reshape(list(image.shape))
        compiled = core.compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": task.threads,
            "INFERENCE_PRECISION_HINT": task.precision})
        self.request = compiled.create_infer_request()
        self.image = image  # it is shared, not copied
        self.request.set_input_tensor(openvino.Tensor(image, shared_memory=True))

    def step(self):
        self.request.infer()

    def output(self):
        return self.request.get_output_tensor().data.copy()
