//! Runs of the real binary on copies of the tiny golden model, and files of every damaged kind.
//!
//! No expectations of any command stand here.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use safetensors::Dtype;
use safetensors::tensor::{SafeTensors, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        let ended = Self {
            code: output.status.code().expect("no signal ended it"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        ended
    }

    /// Output rows on standard output.
    pub(crate) fn rows(&self) -> Vec<Value> {
        rows_of(&self.out)
    }
}

pub(crate) fn rows_of(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder for one test, in which commands run.
pub(crate) struct Workplace {
    folder: TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// With the golden pictures in `images` and a copy of the golden model in `model`.
    pub(crate) fn with_model() -> Self {
        let place = Self::new();
        for folder in ["images", "model"] {
            fs::create_dir(place.path(folder)).unwrap();
            for entry in fs::read_dir(goldens().join(folder)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), place.path(folder).join(entry.file_name())).unwrap();
            }
        }
        place
    }

    /// Adds a variable to the environment of every later command.
    pub(crate) fn set(&mut self, name: &'static str, value: &'static str) {
        self.environment.push((name, value));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_basereward"));
        command.args(arguments).current_dir(self.folder.path());
        command.envs(self.environment.iter().copied());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        // A command that was refused does not read its input.
        let _ = writer.join().unwrap();
        Ended::of(output)
    }

    /// Runs a command that must succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}{}", ended.out, ended.err);
        ended
    }

    /// Runs a command that must be refused with one sentence on stderr, and nothing on stdout.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}{}", ended.out, ended.err);
        assert_eq!(ended.out, "");
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(ended.err.starts_with("basereward: "), "{}", ended.err);
        ended.err
    }

    /// Changes a JSON file of the model.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_str(&self.read(name)).unwrap();
        change(&mut value);
        self.write(name, value.to_string());
    }

    /// Changes the list of tensors of the model.
    pub(crate) fn edit_tensors(&self, change: impl FnOnce(&mut Vec<Stored>)) {
        let file = self.path("model/model.safetensors");
        let bytes = fs::read(&file).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mut stored: Vec<Stored> = tensors
            .iter()
            .map(|(name, view)| Stored {
                name: name.to_owned(),
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            })
            .collect();
        change(&mut stored);
        let views = stored.iter().map(|one| {
            let view = TensorView::new(one.dtype, one.shape.clone(), &one.bytes).unwrap();
            (one.name.as_str(), view)
        });
        safetensors::serialize_to_file(views, None, &file).unwrap();
    }
}

/// A tensor of a model file.
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// The committed goldens of the tiny model.
pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/goldens/tiny")
}

/// Bytes of a small JPEG photograph.
pub(crate) fn jpeg() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prompt/tests/goldens/files/420.jpg");
    fs::read(path).unwrap()
}

/// A row that can be scored, with a picture.
pub(crate) fn good_row(id: &str) -> Value {
    json!({
        "id": id,
        "images": ["images/square.png"],
        "prompt": "What is in the picture?",
        "responses": ["A red square.", format!("I see {id}.")],
    })
}

/// Rows as the lines of a file.
pub(crate) fn lines(rows: &[Value]) -> String {
    rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

/// A PNG that announces a size and has no pixels.
pub(crate) fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    chunk.extend([8, 2, 0, 0, 0]);
    let start = b"\x89PNG\r\n\x1a\n\0\0\0\x0d";
    [&start[..], &chunk, &crc(&chunk).to_be_bytes(), b"\0\0\0\0IDAT\x35\xaf\x06\x1e"].concat()
}

/// The checksum of a PNG chunk.
fn crc(chunk: &[u8]) -> u32 {
    /// CRC-32 with its bits reversed.
    const POLYNOMIAL: u32 = 0xedb8_8320;
    !chunk.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

/// A JPEG that announces a size and has no pixels.
pub(crate) fn jpeg_header(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xc0\x00\x11\x08".to_vec();
    bytes.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
    bytes.extend(b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01");
    bytes.extend(b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00\x00\xff\xd9");
    bytes
}
