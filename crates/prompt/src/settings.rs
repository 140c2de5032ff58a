//! Settings of the image and video processors of a checkpoint folder.
//!
//! A setting that is not implemented is refused, not ignored: a wrong size or mean would give a wrong score without a sign.
//!
//! # Source
//! `transformers` 5.23: `image_processing_base.py` and `video_processing_utils.py` (which file wins), `models/qwen2_vl/` (defaults).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::LoadError;
use crate::files;
use crate::picture::{Normalization, PatchShape, PixelRange};
use crate::processor::{ProcessorOptions, VisionTokens};

/// Nested settings of `transformers` 5.
const PROCESSOR_CONFIG: &str = "processor_config.json";
const IMAGE_CONFIG: &str = "preprocessor_config.json";
const VIDEO_CONFIG: &str = "video_preprocessor_config.json";

/// `OPENAI_CLIP_MEAN` and `OPENAI_CLIP_STD`.
const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
/// Class default of `Qwen2VLImageProcessor`.
const IMAGE_RANGE: PixelRange = PixelRange { min_pixels: 56 * 56, max_pixels: 28 * 28 * 1280 };
/// Class default of `Qwen2VLVideoProcessor`, for each frame.
const VIDEO_RANGE: PixelRange = PixelRange { min_pixels: 128 * 28 * 28, max_pixels: 28 * 28 * 768 };
/// Pillow's number of the bicubic filter.
const BICUBIC: u64 = 3;
/// One level of a byte. Configs write it with 15 to 18 digits.
const RESCALE_FACTOR: f64 = 1.0 / 255.0;
const RESCALE_TOLERANCE: f64 = 1e-9;

/// How pictures (or the frames of videos) are sized, cut and normalized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PixelSettings {
    pub(crate) range: PixelRange,
    pub(crate) shape: PatchShape,
    pub(crate) normalization: Normalization,
}

/// Settings for pictures and settings for videos.
pub(crate) fn load(
    folder: &Path,
    vision: &VisionTokens,
    options: &ProcessorOptions,
) -> Result<(PixelSettings, PixelSettings), LoadError> {
    let nested = files::read_json(folder, PROCESSOR_CONFIG)?.unwrap_or_default();
    let flat =
        files::read_json(folder, IMAGE_CONFIG)?.map(|map| Section::new(folder, IMAGE_CONFIG, map));
    let image = Section::nested(folder, &nested, "image_processor").or_else(|| flat.clone());
    let video_file =
        files::read_json(folder, VIDEO_CONFIG)?.map(|map| Section::new(folder, VIDEO_CONFIG, map));
    // PARITY: a folder without video settings of its own takes those for pictures.
    let video = Section::nested(folder, &nested, "video_processor").or(video_file).or(flat);
    let (Some(image), Some(video)) = (image.clone(), video.or(image)) else {
        return Err(LoadError::Missing { path: folder.join(IMAGE_CONFIG) });
    };
    let image = image.settings(IMAGE_RANGE, vision, options)?;
    Ok((image, video.settings(VIDEO_RANGE, vision, options)?))
}

/// Settings object and where it came from.
#[derive(Clone)]
struct Section {
    path: PathBuf,
    /// Dotted prefix of its keys, for error messages.
    prefix: String,
    map: Map<String, Value>,
}

impl Section {
    fn new(folder: &Path, file: &str, map: Map<String, Value>) -> Self {
        Self { path: folder.join(file), prefix: String::new(), map }
    }

    fn nested(folder: &Path, config: &Map<String, Value>, key: &str) -> Option<Self> {
        let map = config.get(key)?.as_object()?.clone();
        Some(Self { path: folder.join(PROCESSOR_CONFIG), prefix: format!("{key}."), map })
    }

    fn settings(
        &self,
        default_range: PixelRange,
        vision: &VisionTokens,
        options: &ProcessorOptions,
    ) -> Result<PixelSettings, LoadError> {
        self.check_steps()?;
        let shape = PatchShape {
            patch_size: vision.patch_size,
            merge_size: vision.spatial_merge_size,
            temporal_patch_size: vision.temporal_patch_size,
        };
        self.check_equals("patch_size", shape.patch_size)?;
        self.check_equals("merge_size", shape.merge_size)?;
        self.check_equals("temporal_patch_size", shape.temporal_patch_size)?;
        Ok(PixelSettings {
            range: self.range(default_range, options)?,
            shape,
            normalization: self.normalization()?,
        })
    }

    /// Every step must be switched on and be the one that is implemented.
    fn check_steps(&self) -> Result<(), LoadError> {
        for key in ["do_resize", "do_rescale", "do_normalize", "do_convert_rgb"] {
            if let Some(value) = self.get(key)
                && *value != Value::Bool(true)
            {
                return Err(self.refuse(key, value, "`true`"));
            }
        }
        for key in ["do_center_crop", "do_pad", "do_sample_frames", "cap_pixels_per_frame"] {
            if let Some(value) = self.get(key)
                && *value != Value::Bool(false)
            {
                return Err(self.refuse(key, value, "`false`"));
            }
        }
        if let Some(value) = self.get("resample")
            && value.as_u64() != Some(BICUBIC)
        {
            return Err(self.refuse("resample", value, "`3` (bicubic)"));
        }
        match self.get("rescale_factor") {
            Some(value)
                if !value
                    .as_f64()
                    .is_some_and(|factor| (factor - RESCALE_FACTOR).abs() < RESCALE_TOLERANCE) =>
            {
                Err(self.refuse("rescale_factor", value, "`0.00392156862745098` (1/255)"))
            }
            _ => Ok(()),
        }
    }

    fn check_equals(&self, key: &str, expected: usize) -> Result<(), LoadError> {
        match self.get(key) {
            Some(value) if value.as_u64() != Some(expected as u64) => {
                Err(self.refuse(key, value, &format!("`{expected}`, the value in `config.json`,")))
            }
            _ => Ok(()),
        }
    }

    fn range(
        &self,
        default: PixelRange,
        options: &ProcessorOptions,
    ) -> Result<PixelRange, LoadError> {
        let size = match self.get("size") {
            None => None,
            Some(Value::Object(size)) => Some(size),
            Some(other) => {
                return Err(self.refuse(
                    "size",
                    other,
                    "an object with `shortest_edge` and `longest_edge`",
                ));
            }
        };
        let number = |flat: &str, edge: &str, default: u64| {
            let in_size = size.and_then(|size| size.get(edge));
            match self.get(flat).or(in_size) {
                None => Ok(default),
                Some(value) => value
                    .as_u64()
                    .ok_or_else(|| self.refuse(flat, value, "a whole number of pixels")),
            }
        };
        let mut range = PixelRange {
            min_pixels: number("min_pixels", "shortest_edge", default.min_pixels)?,
            max_pixels: number("max_pixels", "longest_edge", default.max_pixels)?,
        };
        if let Some(max_pixels) = options.max_pixels {
            range.max_pixels = max_pixels;
            // Asking only for less must not fail on the folder's own lower bound.
            range.min_pixels = range.min_pixels.min(max_pixels);
        }
        if let Some(min_pixels) = options.min_pixels {
            range.min_pixels = min_pixels;
        }
        let PixelRange { min_pixels, max_pixels } = range;
        if min_pixels > max_pixels {
            return Err(LoadError::PixelRange { min_pixels, max_pixels });
        }
        Ok(range)
    }

    fn normalization(&self) -> Result<Normalization, LoadError> {
        let mean = self.channels("image_mean", CLIP_MEAN)?;
        let std = self.channels("image_std", CLIP_STD)?;
        if std.contains(&0.0) {
            return Err(self.refuse("image_std", &self.map["image_std"], "three numbers above 0"));
        }
        // PARITY: the factor 1/255 is folded into both, in f32.
        let on_bytes = |values: [f64; 3]| values.map(|value| value as f32 * 255.0);
        Ok(Normalization { mean: on_bytes(mean), std: on_bytes(std) })
    }

    fn channels(&self, key: &str, default: [f64; 3]) -> Result<[f64; 3], LoadError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let numbers: Option<Vec<f64>> =
            value.as_array().and_then(|values| values.iter().map(Value::as_f64).collect());
        numbers
            .and_then(|numbers| numbers.try_into().ok())
            .ok_or_else(|| self.refuse(key, value, "a list of three numbers"))
    }

    /// Value of a key; `null` counts as absent.
    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn refuse(&self, key: &str, found: &Value, supported: &str) -> LoadError {
        LoadError::Setting {
            path: self.path.clone(),
            key: format!("{}{key}", self.prefix),
            found: found.to_string(),
            supported: supported.to_owned(),
        }
    }
}
