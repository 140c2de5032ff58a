//! Values of the examples in the `OpenAPI` document. Each example can be sent as it stands.

/// A small red picture.
pub(crate) const PICTURE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAADgAAAA4CAIAAAAn5KxJAAAAQ0lEQVR42u3OQQkAAAgEsEty/aMYy4cphMECLNO+EFFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFR0bN+SnG1YZXy7gAAAABJRU5ErkJggg==";

/// A conversation as the chat template renders it.
pub(crate) const RENDERED: &str = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n\
    <|im_start|>user\nHow many is two and two?<|im_end|>\n<|im_start|>assistant\nFour.<|im_end|>\n";

/// A conversation with a place for a picture.
pub(crate) const PICTURED: &str = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n\
    <|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Which color?<|im_end|>\n<|im_start|>assistant\nRed.<|im_end|>\n";
