//! A small run for tests: the tiny model, pictures of one color each, and questions about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use engine::Device;
use image::{Rgb, RgbImage};
use tempfile::TempDir;
use train::TrainError;
use train::metrics::StepMetrics;
use train::recipe::Recipe;
use train::run::{Begin, Outcome, Progress, RunRequest, run};

const COLORS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("green", [30, 200, 40]), ("blue", [20, 40, 220]), ("gray", [120; 3])];

/// Recipe of the runs; tests override what they are about.
const RECIPE: &str = r#"
[model.folder]
path = "unused"
[data]
train = ["unused"]
[trainable]
vision = {}
merger = {}
[optimizer.adamw]
learning_rate = 1e-3
weight_decay = 0.01
[schedule.cosine]
warmup_fraction = 0.2
[run]
output = "unused"
steps = 6
comparisons_per_step = 4
tokens_per_batch = 512
compute_type = "f32"
"#;

/// Data and run folders of one test.
pub(crate) struct Scene {
    folder: TempDir,
}

impl Scene {
    /// Twelve comparisons: with a picture and without, of two and of three responses.
    pub(crate) fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        let mut lines = Vec::new();
        for (i, (name, color)) in COLORS.iter().enumerate() {
            RgbImage::from_pixel(56, 56, Rgb(*color))
                .save(scene.path(&format!("{name}.png")))
                .unwrap();
            let other = COLORS[(i + 1) % 4].0;
            let third = COLORS[(i + 2) % 4].0;
            lines.push(format!(
                "{{\"id\":\"p{i}\",\"images\":[\"{name}.png\"],\"prompt\":\"What color?\",\"chosen\":\"It is {name}.\",\"rejected\":\"It is {other}.\"}}\n"
            ));
            lines.push(format!(
                "{{\"id\":\"t{i}\",\"prompt\":\"Say {name}.\",\"chosen\":\"{name}\",\"rejected\":\"{third}, I think\"}}\n"
            ));
        }
        fs::write(scene.path("pairs.jsonl"), lines.concat()).unwrap();
        let mut lines = Vec::new();
        for (i, (name, _)) in COLORS.iter().enumerate() {
            let (one, two) = (COLORS[(i + 1) % 4].0, COLORS[(i + 3) % 4].0);
            lines.push(format!(
                "{{\"id\":\"n{i}\",\"images\":[\"{name}.png\"],\"prompt\":\"Which color is it?\",\"responses\":[\"{one}\",\"{name}\",\"{two}\"],\"ranks\":[1,0,1]}}\n"
            ));
        }
        fs::write(scene.path("ranked.jsonl"), lines.concat()).unwrap();
        scene
    }

    /// A path in the scene.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The recipe with overrides.
    pub(crate) fn recipe(&self, overrides: &[&str]) -> Recipe {
        let (pairs, ranked) = (self.path("pairs.jsonl"), self.path("ranked.jsonl"));
        let train = format!("data.train=['{}', '{}']", pairs.display(), ranked.display());
        let overrides: Vec<String> =
            [train].into_iter().chain(overrides.iter().map(|&one| one.to_owned())).collect();
        Recipe::parse(Path::new("scene.toml"), RECIPE, &overrides).unwrap()
    }

    /// Begins a run in the folder `name`.
    #[expect(clippy::result_large_err, reason = "an error here ends the test")]
    pub(crate) fn run(&self, name: &str, recipe: &Recipe) -> Result<Outcome, TrainError> {
        let model = tiny_model();
        self.run_until(name, recipe, Begin::New { model: &model }, u64::MAX).0
    }

    /// Resumes the run in the folder `name`.
    #[expect(clippy::result_large_err, reason = "an error here ends the test")]
    pub(crate) fn resume(&self, name: &str, recipe: &Recipe) -> Result<Outcome, TrainError> {
        self.run_until(name, recipe, Begin::Resume, u64::MAX).0
    }

    /// Runs, and asks for a stop when `last_step` is done. Gives what was told on the way, too.
    pub(crate) fn run_until(
        &self,
        name: &str,
        recipe: &Recipe,
        begin: Begin<'_>,
        last_step: u64,
    ) -> (Result<Outcome, TrainError>, Heard) {
        let stop = AtomicBool::new(false);
        let device = Device::cpu(Some(2)).unwrap();
        let folder = self.path(name);
        let request = RunRequest {
            recipe,
            folder: &folder,
            begin,
            device: &device,
            stop: &stop,
            peak_resident_bytes: || None,
        };
        let mut listener = Listener { stop: &stop, last_step, heard: Heard::default() };
        let result = run(request, &mut listener);
        (result, listener.heard)
    }
}

/// What a run told.
#[derive(Default)]
pub(crate) struct Heard {
    /// Losses of the steps.
    pub(crate) losses: Vec<f64>,
    /// Sentences of warnings.
    pub(crate) warnings: Vec<String>,
}

struct Listener<'a> {
    stop: &'a AtomicBool,
    last_step: u64,
    heard: Heard,
}

impl Progress for Listener<'_> {
    fn step(&mut self, metrics: &StepMetrics, _total_steps: u64) {
        self.heard.losses.extend(metrics.train.as_ref().map(|train| train.loss));
        if metrics.step >= self.last_step {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn warning(&mut self, sentence: &str) {
        self.heard.warnings.push(sentence.to_owned());
    }
}

/// The committed tiny reward model.
pub(crate) fn tiny_model() -> PathBuf {
    testkit::tiny_folder().join("model")
}

/// Every file of a checkpoint that decides how the run goes on, by name.
pub(crate) fn weights_and_state(checkpoint: &Path) -> Vec<(String, Vec<u8>)> {
    let model = checkpoint.join("model");
    let mut files: Vec<PathBuf> = fs::read_dir(&model)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"))
        .collect();
    files.push(checkpoint.join("state.safetensors"));
    files.sort();
    assert!(files.len() >= 2, "weights and state in {}", checkpoint.display());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}
